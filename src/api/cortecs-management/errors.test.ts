import { expect, test } from 'vitest';
import { REJECTIONS, type RejectionCode } from '../../core/rejection.ts';
import { TRANSPORT_STATUS, type TransportCode } from '../_shared/problem.ts';
import { auditCodeOf, managementForm } from './errors.ts';

const CODES = [...Object.keys(REJECTIONS), ...Object.keys(TRANSPORT_STATUS)] as (RejectionCode | TransportCode)[];

test.each(CODES)('%s is one sentence with a status of an error', (code) => {
  const { status, body } = managementForm({ code, message: 'what is wrong', field: 'name', details: { secret: 1 } }, 'req_1');
  expect(body).toEqual({ error: 'what is wrong' });
  expect(status).toBeGreaterThanOrEqual(400);
  expect(auditCodeOf(code)).toMatch(/^[A-Z_]+$/);
});

test.each([
  ['conflict', 400],
  ['key_limit_reached', 400],
  ['invalid_request', 400],
  ['unauthorized', 401],
  ['key_expired', 401],
  ['forbidden', 403],
  ['not_found', 404],
  ['internal', 500],
  ['overloaded', 503],
  ['store_unavailable', 503],
] as const)('%s is %i', (code, status) => {
  expect(managementForm({ code, message: 'x' }, '').status).toBe(status);
});

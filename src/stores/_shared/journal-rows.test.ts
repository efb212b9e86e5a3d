import { expect, test } from 'vitest';
import { auditFromRow } from './journal-rows.ts';

const row = {
  seq: 1,
  id: 'aud_1',
  tenant_id: 'acme',
  at_ms: 1,
  operation: 'createTenant',
  actor_kind: 'operator',
  actor_id: 'operator',
  resource_kind: 'tenant',
  resource_id: 'acme',
  request_id: 'req_1',
  code: null,
  trace_id: null,
  source_ip: null,
  user_agent: null,
  http_status: 201,
  error_code: null,
} as const;

test.each(['', '{', '{"a":1', 'null', '7', '"text"', '[{}]'])(
  'a row of the trail with the metadata %j is read all the same',
  (metadata) => {
    const { entry } = auditFromRow({ ...row, metadata });
    expect(entry).toMatchObject({
      id: 'aud_1',
      status: 201,
      metadata: { error_message: expect.stringContaining('cannot be read') as string },
    });
  },
);

test('a row of the trail has the metadata that was written', () => {
  expect(auditFromRow({ ...row, metadata: '{"a":[1]}' }).entry.metadata).toEqual({ a: [1] });
});

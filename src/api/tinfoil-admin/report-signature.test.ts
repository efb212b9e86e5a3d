import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { isSignedBy, signReport, type SignedReport } from './report-signature.ts';

/** The published example. */
const BODY = '{"delivery_id":"11111111-1111-4111-8111-111111111111","events":[]}';
const REPORT: SignedReport = {
  method: 'POST',
  path: '/api/internal/usage-reports',
  reporterId: 'model-router',
  timestamp: '2026-04-08T12:00:00Z',
  nonce: '11111111-1111-4111-8111-111111111111',
  body: Buffer.from(BODY),
};
const SIGNATURE = 'e469dc31bd2ced2e1627e6b8cb9d2da2d6f18ccd7c34095f529f1c526f86f1f0';

test('the published example has the published signature', () => {
  expect(signReport(REPORT, 'test-secret')).toBe(SIGNATURE);
});

test('no path at all is signed as the root', () => {
  expect(signReport({ ...REPORT, path: '' }, 's')).toBe(signReport({ ...REPORT, path: '/' }, 's'));
});

test('any of several secrets is good, wherever it stands', () => {
  for (const secrets of [['test-secret'], ['other', 'test-secret'], ['test-secret', 'other']])
    expect(isSignedBy(secrets, REPORT, SIGNATURE)).toBe(true);
});

test.each([
  ['another method', { method: 'PUT' }],
  ['another path', { path: '/api/internal/usage-reports/' }],
  ['another reporter', { reporterId: 'model-router2' }],
  ['another timestamp, though of the same moment', { timestamp: '2026-04-08T12:00:00.000Z' }],
  ['another nonce', { nonce: '11111111-1111-4111-8111-111111111112' }],
  ['one more byte', { body: Buffer.from(`${BODY}\n`) }],
  ['one other byte', { body: Buffer.from(BODY.replace('[]', '{}')) }],
])('a signature is none for %s', (_what, change) => {
  expect(isSignedBy(['test-secret'], { ...REPORT, ...change }, SIGNATURE)).toBe(false);
});

test.each([
  ['upper case', SIGNATURE.toUpperCase()],
  ['a part of it', SIGNATURE.slice(0, -1)],
  ['more than it', `${SIGNATURE}0`],
  ['nothing', ''],
  ['that of a body that was hashed by another secret', createHmac('sha256', 'test-secret').update(BODY).digest('hex')],
])('%s is no signature', (_what, signature) => {
  expect(isSignedBy(['test-secret'], REPORT, signature)).toBe(false);
});

test('without a secret nothing is signed', () => {
  expect(isSignedBy([], REPORT, SIGNATURE)).toBe(false);
});

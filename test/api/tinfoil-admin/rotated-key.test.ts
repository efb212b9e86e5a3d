import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp } from '../../support/test-app.ts';

let at: TestApp;
let ann: string;
let id: string;
let oldValue: string;
let newValue: string;

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  ({ id, key: oldValue } = (await at.as(ann)('POST', '/api/keys', { name: 'robot' })).json);
  at.store.addUsage(usageEvent({ id: 'u', tenantId: 'acme', keyId: id, atMs: TEST_START_MS, promptTokens: 3, completionTokens: 4 }));
  const rotated = await at.as(ann)('POST', `/v1/x-castellan/keys/${id}/rotate`, { grace_seconds: 60 });
  newValue = (rotated.json as { key: string }).key;
});
afterEach(() => at.close());

const LOOK_UPS = [
  ['usage with ?key=', (value: string) => at.as(ann)('GET', `/api/billing/usage?key=${value}`)],
  ['usage of a key', (value: string) => at.as(ann)('POST', '/api/billing/usage/key', { key: value })],
  ['update', (value: string) => at.as(ann)('POST', '/api/keys/update', { key: value, name: 'renamed' })],
  ['rename', (value: string) => at.as(ann)('POST', '/api/keys/rename', { key: value, name: 'renamed' })],
] as const;

describe('a rotated key is found by its value', () => {
  test.each(LOOK_UPS)('%s: by the new one, and by the old one until its grace ends', async (_name, lookUp) => {
    expect((await lookUp(newValue)).status).toBe(200);
    at.clock.advance(59_999);
    expect((await lookUp(oldValue)).status).toBe(200);
    at.clock.advance(1);
    expect((await lookUp(oldValue)).status).toBe(404);
    expect((await lookUp(newValue)).status).toBe(200);
  });

  test.each(['new', 'old'])('delete: by the %s one, and then it has none', async (which) => {
    expect((await at.as(ann)('DELETE', `/api/keys/${which === 'new' ? newValue : oldValue}`)).status).toBe(200);
    for (const value of [newValue, oldValue]) {
      expect(await at.directory.authenticate(value, at.clock.nowMs())).toMatchObject({ ok: false, rejection: { code: 'unauthorized' } });
      expect((await at.as(ann)('DELETE', `/api/keys/${value}`)).status).toBe(404);
    }
  });

  test('delete: not by the old one past its grace', async () => {
    at.clock.advance(60_000);
    expect((await at.as(ann)('DELETE', `/api/keys/${oldValue}`)).status).toBe(404);
    expect(await at.directory.authenticate(newValue, at.clock.nowMs())).toMatchObject({ ok: true });
  });

  test('usage stands under the one key, whichever value it was called by', async () => {
    expect((await at.as(ann)('GET', '/api/billing/usage')).json).toMatchObject({ tokens: 7, keys: { robot: { total_tokens: 7 } } });
  });
});

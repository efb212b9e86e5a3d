import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyCapId, TOKENS, USD_MICROCENTS } from '../../../src/core/ledger/account.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const KEYS = '/v1/x-castellan/tenants/acme/inference-keys';

let at: TestApp;
let ann: string;
beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
});
afterEach(() => at.close());

describe('201', () => {
  test('a key of a member with limits: told once, and seen again by that member', async () => {
    const body = { name: 'app', member_id: 'ann', max_tokens: 100, money_budget_usd: '2.5', expires_at: '2027-01-01T00:00:00Z' };
    const { status, json } = await at.operator('POST', KEYS, body);
    const { id, key } = json as { id: string; key: string };
    expect([status, key]).toEqual([201, expect.stringMatching(/^tk_\w{31}$/)]);
    expect(json).toMatchObject({
      name: 'app',
      kind: 'inference',
      tenant_id: 'acme',
      member_id: 'ann',
      max_tokens: 100,
      expires_at: '2027-01-01T00:00:00Z',
    });
    expect(at.store.tables.accounts.get(keyCapId('acme', id, TOKENS))?.allocated).toBe(100n);
    expect(at.store.tables.accounts.get(keyCapId('acme', id, USD_MICROCENTS))?.allocated).toBe(250_000_000n);
    const list = (await at.as(ann)('GET', '/api/keys')).json as { id: string; key: string }[];
    expect(list.find((each) => each.id === id)?.key).toBe(key);
    expect((await at.operator('GET', `/v1/x-castellan/keys/${id}`)).text).not.toContain(key);
  });

  test('a key for nobody in particular is masked to everyone, and leaves a line in the audit', async () => {
    const { json } = await at.operator('POST', KEYS, { name: 'app' });
    const { id, key } = json as { id: string; key: string };
    expect(json).toMatchObject({ member_id: 'operator', max_tokens: null, expires_at: null });
    expect((await at.as(ann)('GET', '/api/keys')).text).not.toContain(key);
    expect(at.store.tables.audit.at(-1)).toMatchObject({ operation: 'create-key', actorKind: 'operator', resourceId: id, code: null });
  });
});

test.each([
  [{}, /^name is required/],
  [{ name: 'a', member_id: 'nobody' }, /^member_id must name a member of the tenant$/],
  [{ name: 'a', expires_at: 'soon' }, /^expires_at must be an RFC 3339/],
  [{ name: 'a', max_tokens: 1.5 }, /^max_tokens must be a whole number/],
  [{ name: 'a', money_budget_usd: -1 }, /^money_budget_usd must be an amount/],
  [{ name: 'a', cap: 1 }, /^cap is not/],
])('400: %j', async (body, message) => {
  expect(await at.operator('POST', KEYS, body)).toMatchObject({ status: 400, json: { message: expect.stringMatching(message) as string } });
});

test('404: a tenant that nobody has; 401: without the operator key', async () => {
  expect((await at.operator('POST', '/v1/x-castellan/tenants/nobody/inference-keys', { name: 'a' })).status).toBe(404);
  expect((await at.as(ann)('POST', KEYS, { name: 'a' })).status).toBe(401);
});

describe('changes of a key', () => {
  test('200: name, cap and expiry; null takes the last two away', async () => {
    const { id } = (await at.operator('POST', KEYS, { name: 'app' })).json as { id: string };
    const path = `/v1/x-castellan/keys/${id}`;
    const body = '{"name":"app-2","max_tokens":9223372036854775807,"expires_at":"2027-01-01T00:00:00Z"}';
    const changed = await at.operator('PATCH', path, body, { 'content-type': 'application/json' });
    expect(changed.status).toBe(200);
    expect(changed.json).toMatchObject({ name: 'app-2', max_tokens: 9223372036854775807n, expires_at: '2027-01-01T00:00:00Z' });
    expect((await at.operator('PATCH', path, { max_tokens: null, expires_at: null })).json).toMatchObject({
      max_tokens: null,
      expires_at: null,
    });
  });

  test.each([
    [{ name: '' }],
    [{ name: null }],
    [{ max_tokens: -1 }],
    [{ max_tokens: '5' }],
    [{ expires_at: 'soon' }],
    [{ expires_at: '2020-01-01T00:00:00Z' }],
  ])('400: %j', async (body) => {
    const { id } = (await at.operator('POST', KEYS, { name: 'app' })).json as { id: string };
    expect((await at.operator('PATCH', `/v1/x-castellan/keys/${id}`, body)).status).toBe(400);
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyCapId, USD_MICROCENTS } from '../../../src/core/ledger/account.ts';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp } from '../../support/test-app.ts';

const BASE = '/v1/x-castellan';
const ACME = `${BASE}/tenants/acme`;

let at: TestApp;
let key: { id: string; value: string };

beforeEach(async () => {
  at = await makeTestApp();
  await at.addTenant('acme');
  key = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'a' });
});
afterEach(() => at.close());

describe('members', () => {
  test('201: a member is one without more, an admin where it is said', async () => {
    expect(await at.operator('POST', `${ACME}/members`, { id: 'dee', email: 'dee@example.com' })).toMatchObject({
      status: 201,
      json: { id: 'dee', tenant_id: 'acme', email: 'dee@example.com', role: 'member', created_at: '2026-04-09T00:00:00Z' },
    });
    expect((await at.operator('GET', `${ACME}/members`)).json).toMatchObject({
      members: [{ id: 'ann' }, { id: 'bob' }, { id: 'cy' }, { id: 'dee' }],
    });
  });

  test('204: a removed member is in no list', async () => {
    const { status, text } = await at.operator('DELETE', `${ACME}/members/cy`);
    expect([status, text]).toEqual([204, '']);
    expect((await at.operator('GET', `${ACME}/members`)).json).toMatchObject({ members: [{ id: 'ann' }, { id: 'bob' }] });
    expect((await at.operator('DELETE', `${ACME}/members/cy`)).status).toBe(404);
  });

  test('409: one who is there already', async () => {
    expect((await at.operator('POST', `${ACME}/members`, { id: 'ann', email: 'x@example.com' })).status).toBe(409);
  });

  test.each([
    [{ id: 'x/y', email: 'x@example.com' }, /^id must have/],
    [{ id: 'x', email: 'nobody' }, /^email must be/],
    [{ id: 'x', email: 'x@example.com', role: 'owner' }, /^role must be admin or member/],
    [{ id: 'x' }, /^email is required/],
  ])('400: %j', async (body, message) => {
    expect(await at.operator('POST', `${ACME}/members`, body)).toMatchObject({
      status: 400,
      json: { message: expect.stringMatching(message) as string },
    });
  });
});

describe('keys of members', () => {
  test.each([
    ['admin-keys', 'admin', /^admin_[0-9A-Za-z]{40}$/],
    ['management-keys', 'management', /^mk_[0-9A-Za-z]{40}$/],
  ])('201: %s are told once', async (path, kind, shape) => {
    const { status, json } = await at.operator('POST', `${ACME}/${path}`, { name: 'k', member_id: 'ann' });
    const { id, key: value } = json as { id: string; key: string };
    expect(status).toBe(201);
    expect(json).toMatchObject({ name: 'k', kind, tenant_id: 'acme', member_id: 'ann', key: expect.stringMatching(shape) as string });
    const shown = await at.operator('GET', `${BASE}/keys/${id}`);
    expect(shown.text).not.toContain(value);
    expect(at.store.tables.records.get(`key ${id}`)).toMatchObject({ sealed: null });
    expect(await at.directory.authenticate(value, at.clock.nowMs())).toMatchObject({ ok: true, value: { member: { id: 'ann' } } });
  });

  test('400: a member who is none, or no admin where the key demands one', async () => {
    for (const member of ['nobody', 'cy']) {
      expect(await at.operator('POST', `${ACME}/admin-keys`, { name: 'k', member_id: member })).toMatchObject({
        status: 400,
        json: { details: { field: 'member_id' } },
      });
    }
    expect((await at.operator('POST', `${ACME}/management-keys`, { name: 'k', member_id: 'cy' })).status).toBe(201);
    expect((await at.operator('POST', `${ACME}/management-keys`, { name: 'k!', member_id: 'cy' })).status).toBe(400);
  });

  test('admin keys do not count against the limit of keys; management keys do', async () => {
    await at.operator('PATCH', `${ACME}/entitlements`, { max_keys: 1 });
    expect((await at.operator('POST', `${ACME}/admin-keys`, { name: 'k', member_id: 'ann' })).status).toBe(201);
    expect(await at.operator('POST', `${ACME}/management-keys`, { name: 'k', member_id: 'ann' })).toMatchObject({
      status: 409,
      json: { error: 'LIMIT_EXCEEDED' },
    });
  });
});

describe('keys', () => {
  test('200: every kind of a tenant’s keys, masked, with limits and use, page by page', async () => {
    at.store.addUsage(usageEvent({ id: 'c', tenantId: 'acme', keyId: key.id, atMs: TEST_START_MS, promptTokens: 3, completionTokens: 4 }));
    const { status, text, json } = await at.operator('GET', `${BASE}/keys?tenant_id=acme`);
    expect(status).toBe(200);
    expect(text).not.toContain(key.value);
    const { keys } = json as { keys: { id: string }[] };
    expect(keys.map(({ id }) => id)).toEqual(keys.map(({ id }) => id).toSorted());
    expect(keys.at(-1)).toEqual({
      id: key.id,
      tenant_id: 'acme',
      kind: 'inference',
      name: 'a',
      masked_key: key.value.slice(0, 8) + '*'.repeat(26),
      member_id: 'ann',
      disabled: false,
      expires_at: null,
      max_tokens: null,
      money_budget_usd: null,
      spent_usd: null,
      reserved_usd: null,
      remaining_usd: null,
      output_bound: 'hard',
      allowed_models: null,
      levels: null,
      caller_levels: null,
      rate_limits: null,
      tokens_used: 7,
      request_count: 1,
      last_used_at: '2026-04-09T00:00:00Z',
      rotated_at: null,
      created_at: '2026-04-09T00:00:00Z',
    });
    const first = (await at.operator('GET', `${BASE}/keys?tenant_id=acme&limit=2`)).json as {
      keys: unknown[];
      has_more: boolean;
      next_cursor: string;
    };
    expect([first.keys.length, first.has_more]).toEqual([2, true]);
    const rest = (await at.operator('GET', `${BASE}/keys?tenant_id=acme&limit=2&cursor=${first.next_cursor}`)).json as typeof first;
    expect([...first.keys, ...rest.keys]).toEqual(keys);
    expect([rest.has_more, rest.next_cursor]).toEqual([false, null]);
  });

  test('200: a money budget of a key is exact, makes its account when first set, and goes with null', async () => {
    const path = `${BASE}/keys/${key.id}`;
    const accountId = keyCapId('acme', key.id, USD_MICROCENTS);
    expect((await at.operator('PATCH', path, { money_budget_usd: null })).status).toBe(200);
    expect(at.store.tables.accounts.has(accountId)).toBe(false);
    expect((await at.operator('PATCH', path, '{"money_budget_usd":0.00000001}')).text).toContain('"money_budget_usd":0.00000001,');
    expect(at.store.tables.accounts.get(accountId)?.allocated).toBe(1n);
    expect((await at.operator('PATCH', path, { money_budget_usd: null })).json).toMatchObject({ money_budget_usd: null });
    expect(at.store.tables.accounts.get(accountId)?.allocated).toBeNull();
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });

  test('200: output_bound soft, and hard again', async () => {
    for (const bound of ['soft', 'hard']) {
      const answer = await at.operator('PATCH', `${BASE}/keys/${key.id}`, { output_bound: bound });
      expect(answer).toMatchObject({ status: 200, json: { output_bound: bound } });
    }
  });

  test('200: limits of a minute, replaced as a whole and taken back', async () => {
    for (const limits of [{ requests_per_minute: 5, tokens_per_minute: 6 }, { requests_per_minute: null, tokens_per_minute: 7 }, null]) {
      const answer = await at.operator('PATCH', `${BASE}/keys/${key.id}`, { rate_limits: limits });
      expect(answer).toMatchObject({ status: 200, json: { rate_limits: limits } });
    }
  });

  test('200: disabled and output_bound', async () => {
    expect(await at.operator('PATCH', `${BASE}/keys/${key.id}`, { disabled: true, output_bound: 'hard' })).toMatchObject({
      status: 200,
      json: { disabled: true, output_bound: 'hard' },
    });
    expect(await at.directory.authenticate(key.value, at.clock.nowMs())).toMatchObject({ ok: false, rejection: { code: 'key_disabled' } });
  });

  test('204: a deleted key is gone at once', async () => {
    expect(await at.directory.authenticate(key.value, at.clock.nowMs())).toMatchObject({ ok: true });
    expect((await at.operator('DELETE', `${BASE}/keys/${key.id}`)).status).toBe(204);
    expect(await at.directory.authenticate(key.value, at.clock.nowMs())).toMatchObject({ ok: false });
    for (const method of ['GET', 'DELETE'] as const) expect((await at.operator(method, `${BASE}/keys/${key.id}`)).status).toBe(404);
    expect((await at.operator('PATCH', `${BASE}/keys/${key.id}`, { disabled: true })).status).toBe(404);
  });

  test.each([
    '',
    '?tenant_id=acme&limit=0',
    '?tenant_id=acme&limit=1001',
    '?tenant_id=acme&limit=x',
    '?tenant_id=acme&tenant_id=b',
    '?tenant_id=acme&x=1',
  ])('400: keys%s', async (query) => {
    expect((await at.operator('GET', `${BASE}/keys${query}`)).status).toBe(400);
  });

  test.each([
    '{}',
    '{"disabled":1}',
    '{"colour":"x"}',
    '{"output_bound":"none"}',
    '{"rate_limits":{}}',
    '{"rate_limits":{"requests_per_minute":0}}',
    '{"money_budget_usd":-1}',
  ])('400: PATCH %s', async (body) => {
    expect((await at.operator('PATCH', `${BASE}/keys/${key.id}`, body)).status).toBe(400);
  });

  test('200: a tenant without keys has an empty list', async () => {
    expect((await at.operator('POST', `${BASE}/tenants`, { id: 'none' })).status).toBe(201);
    expect((await at.operator('GET', `${BASE}/keys?tenant_id=none`)).json).toEqual({ keys: [], has_more: false, next_cursor: null });
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyCapId, TOKENS, USD_MICROCENTS } from '../../../src/core/ledger/account.ts';
import { debit, fixedLeg, reserve } from '../../support/ledger-fixtures.ts';
import { makeTestApp, TEST_START_MS, usageEvent, type TestApp } from '../../support/test-app.ts';

const ME = '/v1/x-castellan/me';
const OPERATOR = '/v1/x-castellan';

let at: TestApp;
let ann: string;
let key: { id: string; value: string };

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  const created = await at.as(ann)('POST', '/api/keys', { name: 'robot', max_tokens: 1000, expires_at: '2027-01-01T00:00:00Z' });
  const { id, key: value } = created.json as { id: string; key: string };
  key = { id, value };
});
afterEach(() => at.close());

interface Own {
  readonly limits: readonly Readonly<Record<string, unknown>>[];
  readonly usage: Readonly<Record<string, unknown>>;
  readonly rotation: Readonly<Record<string, unknown>>;
}

const me = (value = key.value) => at.as(value)('GET', ME);
const own = async (value = key.value): Promise<Own> => (await me(value)).json;

/** Holds on the key's caps and its tenant's budget, then charges them. */
async function use(amounts: { held: bigint; spent: bigint }): Promise<void> {
  const accounts = [
    keyCapId('acme', key.id, TOKENS),
    keyCapId('acme', key.id, USD_MICROCENTS),
    'acme|budget|tenant:acme|USD_MICROCENTS|' as never,
  ];
  const id = at.ids.next('cmd');
  const commands = [
    reserve({ id: `${id}.hold`, reservationId: id, legs: accounts.map((account) => fixedLeg(account, amounts.held)) }),
    debit(amounts.spent, { id, debitId: id, accounts }),
  ];
  for (const command of commands) expect((await at.writer.execute(command)).ok).toBe(true);
}

describe('200', () => {
  test('tells a key who it is', async () => {
    const { status, headers, json, text } = await me();
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'cache-control': 'no-store',
      'x-request-id': expect.any(String) as string,
    });
    expect(json).toMatchObject({
      id: key.id,
      name: 'robot',
      kind: 'inference',
      tenant_id: 'acme',
      masked_key: key.value.slice(0, 8) + '*'.repeat(26),
      disabled: false,
      expires_at: '2027-01-01T00:00:00Z',
      created_at: '2026-04-09T00:00:00Z',
      last_used_at: null,
      rotation: { presented: 'current', rotated_at: null, previous_valid_until: null },
    });
    expect(text).not.toContain(key.value);
  });

  test('tells its limits, what is spent and held of each, what remains, and when it resets', async () => {
    await at.operator('PATCH', `${OPERATOR}/keys/${key.id}`, { money_budget_usd: 0.00001 });
    await at.operator('PUT', `${OPERATOR}/tenants/acme/money-budget`, { money_budget_usd: 0.0001 });
    await use({ held: 7n, spent: 100n });
    const figures = { spent: 100, reserved: 7, resets_at: null };
    expect((await own()).limits).toEqual([
      { kind: 'key_cap', scope: `key:${key.id}`, unit: 'TOKENS', limit: 1000, remaining: 893, ...figures },
      { kind: 'key_cap', scope: `key:${key.id}`, unit: 'USD_MICROCENTS', limit: 1000, remaining: 893, ...figures },
      { kind: 'budget', scope: 'tenant:acme', unit: 'USD_MICROCENTS', limit: 10_000, remaining: 9893, ...figures },
    ]);
  });

  test('a key without limits still learns what it used: the limit and what remains are null', async () => {
    const plain = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'management' });
    expect((await own(plain.value)).limits).toEqual([
      { kind: 'key_cap', scope: `key:${plain.id}`, unit: 'TOKENS', limit: null, spent: 0, reserved: 0, remaining: null, resets_at: null },
    ]);
  });

  test("tells the tenant's prepaid balance, which is a limit where it is required", async () => {
    await at.operator('POST', `${OPERATOR}/exchange-rates`, { currency: 'EUR', per_usd: 0.92 });
    await at.operator('POST', `${OPERATOR}/tenants/acme/credits`, { amount: '0.00000007', reason: 'paid' });
    const balance = { kind: 'balance', scope: 'tenant:acme', unit: 'EUR_MICROCENTS', spent: 0, reserved: 0, resets_at: null };
    expect((await own()).limits.at(-1)).toEqual({ ...balance, limit: null, remaining: null });
    await at.operator('PATCH', `${OPERATOR}/tenants/acme`, { require_balance: true });
    expect((await own()).limits.at(-1)).toEqual({ ...balance, limit: 7, remaining: 7 });
  });

  test('a tenant that hides amounts tells its keys their own, and nothing of its budget', async () => {
    await at.operator('PUT', `${OPERATOR}/tenants/acme/money-budget`, { money_budget_usd: 12.34 });
    await at.operator('PATCH', `${OPERATOR}/tenants/acme`, { hide_amounts: true });
    const { text } = await me();
    expect((await own()).limits.map(({ kind }) => kind)).toEqual(['key_cap']);
    expect(text).not.toMatch(/1234000000|tenant:acme/);
  });

  test('amounts are exact beyond what a double holds', async () => {
    await at.as(ann)('POST', '/api/keys/update', `{"key":"${key.value}","max_tokens":9007199254740993}`);
    expect((await me()).text).toContain('"limit":9007199254740993');
  });

  test('sums up its own use by window, and no other key’s', async () => {
    const other = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference' });
    const hoursAgo = (hours: number) => TEST_START_MS - hours * 3_600_000;
    const add = (id: string, hours: number, keyId = key.id): void =>
      at.store.addUsage(
        usageEvent({ id, tenantId: 'acme', keyId, atMs: hoursAgo(hours), promptTokens: 10, completionTokens: 1, costNanoUsd: 2_000_000n }),
      );
    add('now', 0);
    add('today', 5);
    add('this week', 100);
    add('this month', 500);
    add('long ago', 2000);
    add('another’s', 0, other.id);
    const sums = (requests: number) => ({
      requests,
      tokens: requests * 11,
      input_tokens: requests * 10,
      output_tokens: requests,
      cost_usd: requests * 0.002,
    });
    expect((await own()).usage).toEqual({ all: sums(5), '1h': sums(1), '24h': sums(2), '7d': sums(3), '30d': sums(4) });
    expect((await me()).json).toMatchObject({ last_used_at: '2026-04-09T00:00:00Z' });
  });

  test('sees what was booked by a command that came before it', async () => {
    const accounts = [keyCapId('acme', key.id, TOKENS)];
    const booked = at.writer.execute(debit(5n, { accounts }));
    expect((await own()).limits[0]).toMatchObject({ spent: 5, remaining: 995 });
    await booked;
  });

  test('an admin key learns who it is; it makes no calls, so nothing limits it', async () => {
    expect((await me(ann)).json).toMatchObject({ kind: 'admin', tenant_id: 'acme', limits: [], usage: { all: { requests: 0 } } });
  });

  test('says by which value it was asked, and until when the one before is good', async () => {
    at.clock.advance(1000);
    const rotated = await at.operator('POST', `${OPERATOR}/keys/${key.id}/rotate`, { grace_seconds: 60 });
    const value = (rotated.json as { key: string }).key;
    const told = { rotated_at: '2026-04-09T00:00:01Z', previous_valid_until: '2026-04-09T00:01:01Z' };
    expect((await own(key.value)).rotation).toEqual({ presented: 'previous', ...told });
    expect((await own(value)).rotation).toEqual({ presented: 'current', ...told });
    at.clock.advance(60_000);
    expect((await me(key.value)).status).toBe(401);
    expect((await own(value)).rotation).toEqual({ presented: 'current', rotated_at: told.rotated_at, previous_valid_until: null });
  });

  test('a suspended tenant’s keys may still look', async () => {
    await at.operator('PATCH', `${OPERATOR}/tenants/acme`, { status: 'SUSPENDED' });
    expect((await me()).status).toBe(200);
  });

  test('changes nothing', async () => {
    const { tables } = at.store;
    const before = [tables.audit.length, tables.events.length, tables.entries.length, tables.records.size];
    await me();
    expect([tables.audit.length, tables.events.length, tables.entries.length, tables.records.size]).toEqual(before);
  });
});

describe('4xx, in OpenAI’s form', () => {
  test.each<[string, string | null]>([
    ['no credential', null],
    ['one that nobody has', 'tk_0000000000000000000000000000000'],
    ['something else', 'x'],
  ])('401: %s', async (_what, credential) => {
    const { status, headers, json } = await at.as(credential)('GET', ME);
    expect(status).toBe(401);
    expect(json).toMatchObject({ error: { type: 'invalid_request_error', code: 'invalid_api_key', param: null } });
    expect(headers['www-authenticate']).toBe('Bearer');
  });

  test('401: a disabled, an expired, a deleted key', async () => {
    await at.operator('PATCH', `${OPERATOR}/keys/${key.id}`, { disabled: true });
    expect(await me()).toMatchObject({ status: 401, json: { error: { code: 'key_disabled' } } });
    await at.operator('PATCH', `${OPERATOR}/keys/${key.id}`, { disabled: false });
    at.clock.set(Date.UTC(2027, 0, 1));
    expect(await me()).toMatchObject({ status: 401, json: { error: { code: 'key_expired' } } });
    await at.operator('DELETE', `${OPERATOR}/keys/${key.id}`);
    expect(await me()).toMatchObject({ status: 401, json: { error: { code: 'invalid_api_key' } } });
  });

  test('401: the operator’s header is no bearer key', async () => {
    expect((await at.operator('GET', ME)).status).toBe(401);
  });

  test('403: an admin key whose member is gone', async () => {
    await at.operator('DELETE', `${OPERATOR}/tenants/acme/members/ann`);
    expect(await me(ann)).toMatchObject({ status: 403, json: { error: { type: 'permission_error' } } });
  });

  test('400: a credential that comes twice, and a parameter that nobody knows', async () => {
    const headers = { authorization: [`Bearer ${key.value}`, `Bearer ${key.value}`] as never };
    expect((await at.app.inject({ method: 'GET', url: ME, headers })).statusCode).toBe(400);
    expect(await at.as(key.value)('GET', `${ME}?key=1`)).toMatchObject({ status: 400, json: { error: { param: 'key' } } });
  });

  test('405: any other method', async () => {
    const { status, headers } = await at.as(key.value)('POST', ME, {});
    expect([status, headers['allow']]).toEqual([405, 'GET, HEAD']);
  });

  test('500: what fails behind it is told without its reasons', async () => {
    at.store.beforeRead = (name) => {
      if (name === 'accounts') throw new Error('disk of host-17 is gone');
    };
    const { status, text } = await me();
    expect(status).toBe(500);
    expect(text).not.toContain('host-17');
  });
});

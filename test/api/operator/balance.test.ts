import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const BASE = '/v1/x-castellan';
const acme = `${BASE}/tenants/acme`;

let at: TestApp;
beforeAll(async () => {
  at = await makeTestApp({ declared: ['tenant filed id', 'tenant filed currency', 'tenant filed require_balance'] });
  for (const id of ['acme', 'filed', 'plain']) await at.addTenant(id);
  await at.operator('POST', `${BASE}/exchange-rates`, { currency: 'EUR', per_usd: '0.92' });
});
afterAll(() => at.close());

const balanceOf = async (id: string): Promise<unknown> => (await at.operator('GET', `${BASE}/tenants/${id}/balance`)).json;

describe('credits', () => {
  test('201: paid in and taken back, each line of its own; 200: the balance and the lines, newest first', async () => {
    const nothing = { currency: 'EUR', require_balance: false, balance: 0, held: 0, remaining: 0, credited: 0, spent: 0, per_usd: 0.92 };
    expect(await balanceOf('acme')).toEqual(nothing);
    const paid = await at.operator('POST', `${acme}/credits`, { amount: '12.00000001', reason: 'invoice 7', idempotency_key: 'k1' });
    expect([paid.status, paid.text]).toEqual([201, expect.stringContaining('"amount":12.00000001,"currency":"EUR"')]);
    expect(paid.json).toMatchObject({ tenant_id: 'acme', reason: 'invoice 7', by: 'operator', created_at: '2026-04-09T00:00:00Z' });
    const again = await at.operator('POST', `${acme}/credits`, { reason: 'invoice 7', amount: '12.000000010', idempotency_key: 'k1' });
    expect(again.json).toEqual(paid.json);
    expect((await at.operator('POST', `${acme}/credits`, { amount: 1, reason: 'x', idempotency_key: 'k1' })).status).toBe(409);
    const taken = await at.operator('POST', `${acme}/credits`, { amount: -2, reason: 'typed wrong', currency: 'EUR' });
    expect(taken.json).toMatchObject({ amount: -2, balance: 10.00000001 });
    expect(await balanceOf('acme')).toEqual({ ...nothing, balance: 10.00000001, remaining: 10.00000001, credited: 10.00000001 });

    const lines = [taken.json, paid.json].map((line) => {
      const { balance: _balance, ...shown } = line as { balance: number };
      return shown;
    });
    const first = await at.operator('GET', `${acme}/credits?limit=1`);
    expect(first.json).toMatchObject({ credits: [lines[0]], has_more: true });
    const cursor = (first.json as { next_cursor: string }).next_cursor;
    expect((await at.operator('GET', `${acme}/credits?limit=1&cursor=${cursor}`)).json).toMatchObject({
      credits: [lines[1]],
      has_more: false,
    });
    const rows = at.store.tables.audit.filter(({ operation }) => operation === 'credit-balance');
    expect(rows.map(({ code, metadata }) => [code, (metadata as { microcents?: string }).microcents])).toEqual([
      [null, '1200000001'],
      ['idempotency_mismatch', undefined],
      [null, '-200000000'],
    ]);
    const events = at.store.tables.events.filter(({ type }) => type === 'balance.credited');
    expect(events.map(({ data }) => data)).toMatchObject([
      { unit: 'EUR_MICROCENTS', credited: '1200000001', remaining: '1200000001' },
      { credited: '-200000000', remaining: '1000000001' },
    ]);
  });

  test.each([
    [{ reason: 'x' }, 400, 'amount'],
    [{ amount: 1 }, 400, 'reason'],
    [{ amount: 0, reason: 'x' }, 400, 'amount must not be 0'],
    [{ amount: '1.000000001', reason: 'x' }, 400, 'amount must have at most 8 decimals'],
    [{ amount: '1e30', reason: 'x' }, 400, 'amount must be at most'],
    [{ amount: 'much', reason: 'x' }, 400, 'amount must be an amount such as 50'],
    [{ amount: '--1', reason: 'x' }, 400, 'amount must be an amount such as 50'],
    [{ amount: -1_000_000, reason: 'x' }, 400, 'not take back more than was ever credited'],
    [{ amount: '92233720368.54775807', reason: 'x' }, 400, 'fit into 64 bits'],
    [{ amount: 1, reason: ' ' }, 400, 'reason'],
    [{ amount: 1, reason: 'x', currency: 'SEK' }, 409, 'the currency of the tenant acme is EUR'],
    [{ amount: 1, reason: 'x', idempotency_key: '' }, 400, 'idempotency_key'],
    [{ amount: 1, reason: 'x', note: 'y' }, 400, 'note is not a known field'],
  ])('%j: %i, and nothing was paid in', async (body, status, words) => {
    const before = await balanceOf('acme');
    const answer = await at.operator('POST', `${acme}/credits`, body);
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(words)]);
    expect(await balanceOf('acme')).toEqual(before);
  });

  test('404 for a tenant that is not there', async () => {
    const nobody = `${BASE}/tenants/nobody`;
    const statuses = [
      at.operator('POST', `${nobody}/credits`, { amount: 1, reason: 'x' }),
      at.operator('GET', `${nobody}/credits`),
      at.operator('GET', `${nobody}/balance`),
    ];
    expect((await Promise.all(statuses)).map(({ status }) => status)).toEqual([404, 404, 404]);
  });
});

describe('terms', () => {
  test('a tenant is made with its currency and a balance that is required, or is given them', async () => {
    const made = await at.operator('POST', `${BASE}/tenants`, { id: 'paying', currency: 'USD', require_balance: true });
    expect([made.status, made.json]).toMatchObject([201, { currency: 'USD', require_balance: true }]);
    expect(await balanceOf('paying')).toMatchObject({ currency: 'USD', require_balance: true, balance: 0, per_usd: 1 });
    await at.addTenant('later');
    const given = await at.operator('PATCH', `${BASE}/tenants/later`, { require_balance: true });
    expect([given.status, given.json]).toMatchObject([200, { currency: 'EUR', require_balance: true }]);
  });

  test.each([
    [{ currency: 'XXX' }, 400, 'currency must be a code of ISO 4217'],
    [{ currency: 'eur' }, 400, 'currency must be a code of ISO 4217'],
    [{ currency: 'SEK', require_balance: true }, 400, 'currency must have an exchange rate that applies'],
    [{ require_balance: 'yes' }, 400, 'require_balance must be true or false'],
  ])('PATCH %j: %i, and nothing changes', async (body, status, words) => {
    const before = (await at.operator('GET', `${BASE}/tenants/plain`)).json;
    const answer = await at.operator('PATCH', `${BASE}/tenants/plain`, body);
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(words)]);
    expect((await at.operator('GET', `${BASE}/tenants/plain`)).json).toEqual(before);
  });

  test('the currency changes while the balance is 0: 409 otherwise, and no rate is needed where nothing is paid ahead', async () => {
    await at.addTenant('moving');
    const moving = `${BASE}/tenants/moving`;
    expect((await at.operator('PATCH', moving, { currency: 'SEK' })).json).toMatchObject({ currency: 'SEK' });
    expect((await at.operator('POST', `${moving}/credits`, { amount: 5, reason: 'x' })).text).toContain('declare one for SEK');
    expect((await at.operator('PATCH', moving, { currency: 'EUR' })).status).toBe(200);
    await at.operator('POST', `${moving}/credits`, { amount: 5, reason: 'x' });
    const refused = await at.operator('PATCH', moving, { currency: 'USD' });
    expect([refused.status, refused.text]).toEqual([409, expect.stringContaining('the balance is 5 EUR')]);
    await at.operator('POST', `${moving}/credits`, { amount: -5, reason: 'back' });
    expect((await at.operator('PATCH', moving, { currency: 'USD' })).json).toMatchObject({ currency: 'USD' });
  });

  test('409 for what the file declares', async () => {
    for (const body of [{ currency: 'USD' }, { require_balance: true }])
      expect((await at.operator('PATCH', `${BASE}/tenants/filed`, body)).status).toBe(409);
  });
});

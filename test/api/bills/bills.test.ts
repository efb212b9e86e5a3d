import { Compile } from 'typebox/compile';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { TSchema } from 'typebox';
import type { Answer } from '../../../src/api/_shared/openapi/operation.ts';
import { TINFOIL_SURFACE } from '../../../src/api/tinfoil-admin/operations.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';
import { billsOf, issue, pathOf, use, type BillObject } from './bill-harness.ts';

const DAY_MS = 86_400_000;
const OPERATOR = '/v1/x-castellan/tenants/acme';
const HOSTILE = `<img src=x onerror=alert(1)>"'&amp;</td><script>alert(1)</script>`;

let at: TestApp;
let ann: string;
let keyId: string;
beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  keyId = (await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'Production Key' })).id;
});
afterEach(() => at.close());

/** Goes to a moment and issues what is due. */
async function issueAt(time: string): Promise<void> {
  at.clock.set(Date.parse(time));
  await issue(at);
}

/** A bill of March 2026 with one line. */
async function firstBill(chargeMicrocents = 123_456_789n): Promise<BillObject> {
  use(at, { tenantId: 'acme', keyId, atMs: Date.parse('2026-03-31T23:59:59.999Z'), chargeMicrocents });
  await issueAt('2026-04-01T01:00:00Z');
  const [bill] = await billsOf(at, 'acme');
  if (bill === undefined) throw new Error('there is no bill');
  return bill;
}

async function get(url: string): Promise<{ status: number; headers: Record<string, unknown>; text: string }> {
  const { statusCode: status, headers, payload: text } = await at.app.inject({ method: 'GET', url });
  return { status, headers, text };
}

describe('200 transactions', () => {
  const answer = TINFOIL_SURFACE.operations['GET /api/billing/transactions']?.answers[200] as Answer | undefined;
  const described = answer?.schema as TSchema;

  test('a statement is an Invoice with a page, in both shapes, as their schema says', async () => {
    const bill = await firstBill();
    const shown = {
      id: bill.id,
      date: '2026-04-01T01:00:00Z',
      type: 'Invoice',
      description: 'Usage in 2026-03, statement acme-0001',
      amount: 1.23,
      currency: 'USD',
      status: 'completed',
      invoice_url: bill.invoice_url,
    };
    const object = await at.as(ann)('GET', '/api/billing/transactions');
    const array = await at.as(ann)('GET', '/api/billing/transactions?format=array');
    expect([object.json, array.json]).toEqual([{ transactions: [shown] }, [shown]]);
    for (const { json } of [object, array]) expect(Compile(described).Check(json)).toBe(true);
    expect((await get(pathOf(bill))).status).toBe(200);
  });

  test('credits of the prepaid balance are Charges with pages of their own, which can be revoked', async () => {
    await firstBill();
    await at.operator('PATCH', OPERATOR, { currency: 'USD' });
    at.clock.advance(1000);
    await at.operator('POST', `${OPERATOR}/credits`, { amount: 250.5, reason: 'Top-up <b>' });
    at.clock.advance(1000);
    const taken = await at.operator('POST', `${OPERATOR}/credits`, { amount: '-0.5', reason: 'Typo' });
    expect(taken.status).toBe(201);
    const { transactions } = (await at.as(ann)('GET', '/api/billing/transactions')).json as {
      transactions: { id: string; invoice_url: string }[];
    };
    expect(transactions).toMatchObject([
      { type: 'Charge', description: 'Prepaid balance: Typo', amount: -0.5, currency: 'USD', status: 'completed' },
      { type: 'Charge', description: 'Prepaid balance: Top-up <b>', amount: 250.5 },
      { type: 'Invoice' },
    ]);
    const [back, topUp] = transactions as [BillObject, BillObject];
    const { text } = await get(pathOf(topUp));
    for (const part of ['Receipt', topUp.id, 'Top-up &lt;b&gt;', '250.50 USD']) expect(text).toContain(part);
    expect((await get(pathOf(back))).text).toContain('\u22120.50 USD');
    expect((await at.operator('POST', `${OPERATOR}/bills/${topUp.id}/revoke-link`)).json).toMatchObject({
      id: topUp.id,
      invoice_url: null,
    });
    expect((await get(pathOf(topUp))).status).toBe(404);
    expect((await get(pathOf(back))).status).toBe(200);
  });

  test('newest first, and of the own tenant only', async () => {
    const { ann: other } = await at.addTenant('beta');
    await firstBill();
    use(at, { tenantId: 'acme', keyId, atMs: Date.parse('2026-04-05T00:00:00Z'), chargeMicrocents: 1n });
    await issueAt('2026-05-01T01:00:00Z');
    const { transactions } = (await at.as(ann)('GET', '/api/billing/transactions')).json as { transactions: { description: string }[] };
    expect(transactions.map(({ description }) => description)).toEqual([
      'Usage in 2026-04, statement acme-0002',
      'Usage in 2026-03, statement acme-0001',
    ]);
    expect((await at.as(other)('GET', '/api/billing/transactions')).text).toBe('{"transactions":[]}');
  });
});

describe('200 the page of a bill', () => {
  test('tells tenant, number, period, lines and total, exactly', async () => {
    use(at, {
      tenantId: 'acme',
      keyId,
      atMs: Date.parse('2026-03-02T00:00:00Z'),
      model: 'other',
      requests: 1234,
      chargeMicrocents: 99_999_999_999_900n,
    });
    const { text, headers } = await get(pathOf(await firstBill(5n)));
    for (const part of [
      'acme-0001',
      'Usage in March 2026',
      '1 to 31 March 2026',
      '1 April 2026',
      'Production Key',
      '1,234',
      '0.00000005',
      '999,999.99999900',
      '999,999.99999905 USD',
    ])
      expect(text).toContain(part);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
  });

  test('tells the total in the tenant’s currency by the rate, as the transaction does', async () => {
    const rate = { currency: 'EUR', per_usd: '0.92', applies_from: '2026-04-30T00:00:00Z' };
    expect((await at.operator('POST', '/v1/x-castellan/exchange-rates', rate)).status).toBe(201);
    use(at, { tenantId: 'acme', keyId, atMs: Date.parse('2026-05-02T00:00:00Z'), chargeMicrocents: 1_000_000_001n });
    await issueAt('2026-06-01T01:00:00Z');
    const [bill] = await billsOf(at, 'acme');
    expect(bill).toMatchObject({ total_usd: 10.00000001, currency: 'EUR', total: 9.20000001 });
    const { text } = await get(pathOf(bill as BillObject));
    for (const part of ['9.20 EUR', '10.00000001 USD at 0.92 EUR', 'Total in EUR', '9.20000001 EUR']) expect(text).toContain(part);
    const [transaction] = ((await at.as(ann)('GET', '/api/billing/transactions')).json as { transactions: object[] }).transactions;
    expect(transaction).toMatchObject({ amount: 9.2, currency: 'EUR' });
  });

  test('runs nothing, loads nothing, stays in no cache and tells nobody where it came from', async () => {
    const { headers, text } = await get(pathOf(await firstBill()));
    expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; img-src data:; .*sandbox$/);
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-robots-tag': 'noindex, nofollow',
    });
    expect(text).not.toMatch(/<script|<iframe|src=|url\(|@import/i);
  });

  test('shows hostile names as the text that they are', async () => {
    const tenant = at.store.tables.records.get('tenant acme') as { name: string };
    at.store.tables.records.set('tenant acme', { ...tenant, name: HOSTILE } as never);
    use(at, { tenantId: 'acme', keyId, atMs: Date.parse('2026-03-02T00:00:00Z'), model: HOSTILE, chargeMicrocents: 1n });
    const correction = { amount_usd: -1, reason: HOSTILE };
    expect((await at.operator('POST', `${OPERATOR}/bill-corrections`, correction)).status).toBe(201);
    const { text } = await get(pathOf(await firstBill()));
    expect(text).not.toContain('<img');
    expect(text).not.toContain('<script');
    expect(text.split('&lt;img src=x onerror=alert(1)&gt;&quot;&#39;&amp;amp;&lt;/td&gt;&lt;script&gt;').length - 1).toBe(3);
  });

  test('shows what was told late under its month, and corrections; the bill that they concern stays as it was', async () => {
    const first = await firstBill(300n);
    const before = (await get(pathOf(first))).text;
    const corrected = { amount_usd: '-0.00000100', reason: 'An outage on 3 March', bill_id: first.id };
    expect((await at.operator('POST', `${OPERATOR}/bill-corrections`, corrected)).status).toBe(201);
    const noted = (await get(pathOf(first))).text;
    expect(noted).toContain('Corrected later');
    expect(noted.replace(/<section class="note">[^]*<\/section>/, '').replace(/\s+/g, '')).toBe(before.replace(/\s+/g, ''));
    use(at, { tenantId: 'acme', keyId, atMs: Date.parse('2026-03-31T00:00:00Z'), chargeMicrocents: 40n });
    use(at, { tenantId: 'acme', keyId, atMs: Date.parse('2026-04-10T00:00:00Z'), chargeMicrocents: 2n });
    await issueAt('2026-05-01T01:00:00Z');
    const [second] = await billsOf(at, 'acme');
    const { text } = await get(pathOf(second as BillObject));
    for (const part of [
      'Usage in April 2026',
      'Told late: usage in March 2026',
      'An outage on 3 March',
      'acme-0001',
      '\u22120.00000058 USD',
    ])
      expect(text).toContain(part);
    const { lines } = (await at.operator('GET', `${OPERATOR}/bills/${second?.id}`)).json as { lines: object[] };
    expect(lines).toMatchObject([
      { kind: 'usage', month: '2026-04', charge_usd: 0.00000002 },
      { kind: 'usage', month: '2026-03', charge_usd: 0.0000004 },
      { kind: 'correction', concerns: 'acme-0001', charge_usd: -0.000001 },
    ]);
    const { corrections } = (await at.operator('GET', `${OPERATOR}/bill-corrections`)).json as { corrections: object[] };
    expect(corrections).toMatchObject([{ concerns_bill_id: first.id, billed_on_bill_id: second?.id }]);
  });
});

describe('404 the page of a bill', () => {
  test('a token that is not its own, a revoked one, one from before, and a bill that is not there answer alike', async () => {
    const bill = await firstBill();
    const path = pathOf(bill);
    const token = path.split('/').at(-1) ?? '';
    expect(Buffer.from(token, 'base64url')).toHaveLength(32);
    const revoked = await at.operator('POST', `${OPERATOR}/bills/${bill.id}/revoke-link`);
    expect([revoked.status, (revoked.json as BillObject).invoice_url]).toEqual([200, null]);
    const [transaction] = ((await at.as(ann)('GET', '/api/billing/transactions')).json as { transactions: object[] }).transactions;
    expect(transaction).not.toHaveProperty('invoice_url');
    const renewed = pathOf((await at.operator('POST', `${OPERATOR}/bills/${bill.id}/renew-link`)).json);
    expect((await get(renewed)).status).toBe(200);
    const other = renewed.split('/').at(-1) ?? '';
    const guesses = [
      path,
      `/bills/${bill.id}/${other.slice(1)}`,
      `/bills/${bill.id}/${other}x`,
      `/bills/${bill.id}/${other.toLowerCase()}`,
      `/bills/in_nobody/${other}`,
      `/bills/${bill.id}/undefined`,
      `/bills/%00/%00`,
    ];
    const answers = await Promise.all(guesses.map(get));
    expect(answers.map(({ status }) => status)).toEqual(guesses.map(() => 404));
    expect(new Set(answers.map(({ text }) => text)).size).toBe(1);
    expect(answers[0]?.text).toContain('No bill here');
  });

  test('no token is in the log, and the tokens of two bills have nothing to do with each other', async () => {
    const first = pathOf(await firstBill());
    use(at, { tenantId: 'acme', keyId, atMs: Date.parse('2026-04-05T00:00:00Z'), chargeMicrocents: 1n });
    await issueAt('2026-05-01T01:00:00Z');
    const [second] = await billsOf(at, 'acme');
    const token = first.split('/').at(-1) ?? '';
    expect((await get(`/bills/${second?.id}/${token}`)).status).toBe(404);
    at.store.beforeRead = (name) => {
      if (name === 'record statement') throw new Error('the disk is gone');
    };
    expect((await get(first)).status).toBe(500);
    expect(JSON.stringify(at.log.lines)).not.toContain(token);
  });
});

describe('bills for the operator', () => {
  test('404: no such tenant, no such bill, or the bill of another tenant', async () => {
    const bill = await firstBill();
    await at.addTenant('beta');
    const paths = ['nobody/bills', 'nobody/bill-corrections', 'acme/bills/in_nobody', `beta/bills/${bill.id}`];
    const statuses = await Promise.all(paths.map(async (path) => (await at.operator('GET', `/v1/x-castellan/tenants/${path}`)).status));
    expect(statuses).toEqual(paths.map(() => 404));
    for (const change of ['revoke', 'renew'])
      expect((await at.operator('POST', `/v1/x-castellan/tenants/beta/bills/${bill.id}/${change}-link`)).status).toBe(404);
    const correction = { amount_usd: 1, reason: 'x', bill_id: bill.id };
    expect((await at.operator('POST', '/v1/x-castellan/tenants/beta/bill-corrections', correction)).status).toBe(404);
    expect((await at.operator('POST', '/v1/x-castellan/tenants/nobody/bill-corrections', { ...correction, bill_id: null })).status).toBe(
      404,
    );
    expect((await get(pathOf(bill))).status).toBe(200);
  });

  test.each([
    [{ amount_usd: 0, reason: 'x' }, 'amount_usd'],
    [{ amount_usd: '-0', reason: 'x' }, 'amount_usd'],
    [{ amount_usd: '--1', reason: 'x' }, 'amount_usd'],
    [{ amount_usd: 0.123456789, reason: 'x' }, 'amount_usd'],
    [{ amount_usd: '1000000000.00000001', reason: 'x' }, 'amount_usd'],
    [{ amount_usd: 1, reason: ' ' }, 'reason'],
    [{ amount_usd: 1, reason: 'a\u0000b' }, 'reason'],
    [{ amount_usd: 1, reason: 'x'.repeat(501) }, 'reason'],
    [{ amount_usd: 1 }, 'reason'],
    [{ amount_usd: 1, reason: 'x', dragons: 1 }, 'dragons'],
  ])('400: a correction %j', async (body, field) => {
    const answer = await at.operator('POST', `${OPERATOR}/bill-corrections`, body);
    expect([answer.status, answer.text]).toEqual([400, expect.stringContaining(field) as string]);
    expect(((await at.operator('GET', `${OPERATOR}/bill-corrections`)).json as { corrections: object[] }).corrections).toEqual([]);
  });

  test('each change leaves an audit row, and a statement one of the program itself', async () => {
    const bill = await firstBill();
    await at.operator('POST', `${OPERATOR}/bills/${bill.id}/revoke-link`);
    await at.operator('POST', `${OPERATOR}/bills/${bill.id}/renew-link`);
    await at.operator('POST', `${OPERATOR}/bill-corrections`, { amount_usd: 2.5, reason: 'a fee' });
    const rows = at.store.tables.audit.map(({ operation, actorKind }) => `${operation} ${actorKind}`);
    expect(rows.slice(-4)).toEqual([
      'issue-statement system',
      'revoke-bill-link operator',
      'renew-bill-link operator',
      'add-bill-correction operator',
    ]);
    expect(at.store.tables.events.map(({ type }) => type)).toEqual(expect.arrayContaining(['statement.issued', 'bill_correction.created']));
  });

  test('the open bill shows what no bill has yet: of this month, of months before, and corrections', async () => {
    const open = async (): Promise<object> => (await at.operator('GET', `${OPERATOR}/open-bill`)).json;
    expect(await open()).toMatchObject({ month: '2026-04', total_usd: 0, lines: [] });
    use(at, { tenantId: 'acme', keyId, atMs: Date.parse('2026-03-31T00:00:00Z'), chargeMicrocents: 40n });
    use(at, { tenantId: 'acme', keyId, atMs: Date.parse('2026-04-01T00:00:00Z'), chargeMicrocents: 2n });
    await at.operator('POST', `${OPERATOR}/bill-corrections`, { amount_usd: '-0.0000001', reason: 'x' });
    expect(await open()).toMatchObject({
      total_usd: 0.00000032,
      lines: [{ month: '2026-04' }, { month: '2026-03' }, { kind: 'correction' }],
    });
    await issueAt('2026-05-01T01:00:00Z');
    expect(await open()).toMatchObject({ month: '2026-05', total_usd: 0, lines: [] });
    use(at, { tenantId: 'acme', keyId, atMs: Date.parse('2026-04-30T00:00:00Z'), chargeMicrocents: 5n });
    expect(await open()).toMatchObject({ total_usd: 0.00000005, lines: [{ month: '2026-04' }] });
    expect((await at.operator('GET', '/v1/x-castellan/tenants/nobody/open-bill')).status).toBe(404);
  });

  test('401 without the operator key', async () => {
    for (const path of ['bills', 'bills/x', 'bill-corrections']) expect((await at.as(ann)('GET', `${OPERATOR}/${path}`)).status).toBe(401);
  });

  test('the bill of a tenant that is closed is still there, and what it used before is billed', async () => {
    use(at, { tenantId: 'acme', keyId, atMs: Date.parse('2026-03-02T00:00:00Z') + DAY_MS, chargeMicrocents: 7n });
    const tenant = at.store.tables.records.get('tenant acme') as object;
    at.store.tables.records.set('tenant acme', { ...tenant, status: 'CLOSED' } as never);
    await issueAt('2026-04-01T01:00:00Z');
    expect(await billsOf(at, 'acme')).toMatchObject([{ number: 'acme-0001', total_usd: 0.00000007 }]);
  });
});

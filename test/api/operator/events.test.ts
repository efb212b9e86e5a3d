import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keyCapId, TOKENS } from '../../../src/core/ledger/account.ts';
import { debit } from '../../support/ledger-fixtures.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const URL_OF_EVENTS = '/v1/x-castellan/events';

let at: TestApp;
let ann: string;
let key: { id: string };

beforeEach(async () => {
  at = await makeTestApp();
  ({ ann } = await at.addTenant('acme'));
  const created = await at.as(ann)('POST', '/api/keys', { name: 'robot', max_tokens: 1000 });
  key = created.json;
});
afterEach(() => at.close());

interface List {
  readonly events: readonly { readonly id: string; readonly type: string; readonly data: Readonly<Record<string, unknown>> }[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
}

/** Charges tokens to the key's cap. */
async function spend(amount: bigint): Promise<void> {
  const accounts = [keyCapId('acme', key.id, TOKENS)];
  const id = at.ids.next('cmd');
  const outcome = await at.writer.execute(debit(amount, { id, debitId: id, accounts, overagePolicy: 'ALLOW_WITH_OVERDRAFT' }));
  expect(outcome.ok).toBe(true);
}
const list = async (query: string): Promise<List> => (await at.operator('GET', `${URL_OF_EVENTS}?tenant_id=acme&${query}`)).json;
const CROSSED = 'type=api_key.threshold_crossed';
const told = async (): Promise<unknown[]> => (await list(CROSSED)).events.map(({ data }) => data['threshold_percent']);

describe('200: threshold events', () => {
  test('tell of 50, 80, 95 and 100 % once each, newest first, with the exact amounts', async () => {
    await spend(499n);
    expect(await told()).toEqual([]);
    await spend(1n);
    expect(await told()).toEqual([50]);
    await spend(460n);
    await spend(40n);
    await spend(1n);
    expect(await told()).toEqual([100, 95, 80, 50]);
    expect((await list(`${CROSSED}&limit=1`)).events).toEqual([
      {
        id: expect.stringMatching(/^evt_/) as string,
        type: 'api_key.threshold_crossed',
        tenant_id: 'acme',
        created_at: '2026-04-09T00:00:00Z',
        data: {
          tenant_id: 'acme',
          key_id: key.id,
          kind: 'key_cap',
          scope: `key:${key.id}`,
          unit: 'TOKENS',
          threshold_percent: 100,
          limit: 1000,
          spent: 1000,
          reserved: 0,
          remaining: 0,
        },
      },
    ]);
  });

  test('come anew when a higher limit had put the spending below', async () => {
    await spend(800n);
    await at.as(ann)('POST', '/api/keys/update', { key: await ownValue(), max_tokens: 1_000_000 });
    await spend(1n);
    expect(await told()).toEqual([80, 50]);
    await at.as(ann)('POST', '/api/keys/update', { key: await ownValue(), max_tokens: 1600 });
    expect(await told()).toEqual([50, 80, 50]);
  });

  test('come for a key’s money and a tenant’s, when its limit is lowered too', async () => {
    await at.operator('PATCH', `/v1/x-castellan/keys/${key.id}`, { money_budget_usd: 10 });
    await at.operator('PUT', '/v1/x-castellan/tenants/acme/money-budget', { money_budget_usd: 100 });
    const money = [`acme|key_cap|key:${key.id}|USD_MICROCENTS|`, 'acme|budget|tenant:acme|USD_MICROCENTS|'] as never[];
    await at.writer.execute(debit(900_000_000n, { id: 'c', debitId: 'c', accounts: money }));
    expect(await told()).toEqual([80, 50]);
    expect((await list('type=budget.threshold_crossed')).events).toEqual([]);
    await at.operator('PUT', '/v1/x-castellan/tenants/acme/money-budget', { money_budget_usd: 10 });
    const [last] = (await list('type=budget.threshold_crossed')).events;
    expect(last).toMatchObject({
      data: { kind: 'budget', scope: 'tenant:acme', threshold_percent: 80, limit: 1_000_000_000, spent: 900_000_000 },
    });
  });

  async function ownValue(): Promise<string> {
    return ((await at.as(ann)('GET', '/api/keys')).json as { key: string }[])[0]?.key ?? '';
  }
});

describe('200: pages of events', () => {
  test('hold each event once, newest first, while new ones come', async () => {
    const all = (await list('limit=1000')).events.map(({ id }) => id);
    expect(all.length).toBeGreaterThan(5);
    const found: string[] = [];
    let next: string | null = `${URL_OF_EVENTS}?tenant_id=acme&limit=2`;
    while (next !== null) {
      const { headers, json }: Awaited<ReturnType<TestApp['operator']>> = await at.operator('GET', next);
      const { events, has_more: hasMore, next_cursor: cursor } = json as List;
      found.push(...events.map(({ id }) => id));
      await spend(100n);
      const link: RegExpExecArray | null = /^<([^>]+)>; rel="next"$/.exec(String(headers['link'] ?? ''));
      next = link?.[1] ?? null;
      expect([hasMore, cursor !== null]).toEqual([next !== null, next !== null]);
    }
    expect(found).toEqual(all);
  });

  test('keep to their type from page to page', async () => {
    await spend(1000n);
    const first = await list(`${CROSSED}&limit=3`);
    const second = await list(`${CROSSED}&limit=3&cursor=${first.next_cursor}`);
    expect([...first.events, ...second.events].map(({ data }) => data['threshold_percent'])).toEqual([100, 95, 80, 50]);
    expect(second).toMatchObject({ has_more: false, next_cursor: null });
  });

  test('an admin key sees its tenant’s events, and no other’s', async () => {
    await at.addTenant('other');
    const { json } = await at.as(ann)('GET', URL_OF_EVENTS);
    expect(new Set((json as { events: { tenant_id: string }[] }).events.map((event) => event.tenant_id))).toEqual(new Set(['acme']));
    expect((await at.as(ann)('GET', `${URL_OF_EVENTS}?tenant_id=other`)).status).toBe(404);
  });

  test('hold no secret', async () => {
    const { text } = await at.operator('GET', `${URL_OF_EVENTS}?tenant_id=acme&limit=1000`);
    expect(text).not.toMatch(/tk_|admin_0|hash|sealed/);
  });
});

describe('4xx', () => {
  test.each([
    '',
    '?tenant_id=acme&limit=0',
    '?tenant_id=acme&limit=1001',
    '?tenant_id=acme&cursor=MQ.x',
    '?tenant_id=acme&since=1',
    '?tenant_id=acme&type=a&type=b',
  ])('400: events%s', async (query) => {
    expect(await at.operator('GET', `${URL_OF_EVENTS}${query}`)).toMatchObject({ status: 400, json: { error: 'INVALID_REQUEST' } });
  });

  test('400: a cursor of the same list narrowed otherwise', async () => {
    await spend(1000n);
    const { next_cursor: cursor } = await list(`${CROSSED}&limit=1`);
    expect((await at.operator('GET', `${URL_OF_EVENTS}?tenant_id=acme&cursor=${cursor}`)).status).toBe(400);
  });

  test('404: a tenant that is not there; 401: no key', async () => {
    expect((await at.operator('GET', `${URL_OF_EVENTS}?tenant_id=none`)).status).toBe(404);
    expect((await at.as(null)('GET', `${URL_OF_EVENTS}?tenant_id=acme`)).status).toBe(401);
  });
});

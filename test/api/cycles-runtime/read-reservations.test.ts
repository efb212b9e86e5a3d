import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TestResponse } from '../../support/test-app.ts';
import { codeOf, makeRuntime, type Runtime, type Sender } from './runtime-harness.ts';

interface Row {
  readonly reservation_id: string;
  readonly status: string;
  readonly created_at_ms: number;
  readonly expires_at_ms: number;
  readonly [name: string]: unknown;
}

let runtime: Runtime;
/** Ids by their place in the order of creation. */
const ids: string[] = [];
let startMs = 0;

beforeAll(async () => {
  runtime = await makeRuntime();
  await runtime.makeTenant('other');
  await runtime.makeBudget('tenant:acme', 1000);
  startMs = runtime.clock.nowMs();
  for (let index = 0; index < 6; index += 1) {
    const parts = {
      idempotency_key: `made-${index}`,
      subject: { tenant: 'acme', app: index % 2 === 0 ? 'even' : 'odd', agent: `Agent${index}`, dimensions: { team: 'x' } },
      estimate: { unit: 'TOKENS', amount: 10 + index },
      ttl_ms: 60_000 - index * 1000,
      grace_period_ms: 0,
      metadata: { place: index, big: 9_007_199_254_740_993n },
    };
    ids.push(await runtime.made(parts));
    runtime.clock.advance(10);
  }
  await runtime.commit(ids[1] ?? '', 5, { metadata: { done: true, n: 2n ** 60n }, metrics: { tokens_input: 1 } });
  runtime.clock.advance(10);
  await runtime.release(ids[2] ?? '');
  runtime.clock.advance(10);
  await runtime.writer.execute({ verb: 'expire', id: 'cmd_early', tenantId: 'acme', reservationId: ids[3] ?? '' });
});
afterAll(() => runtime.close());

const list = (query = '', sender: Sender = runtime.key): Promise<TestResponse> =>
  runtime.ask('listReservations', sender, 'GET', `/v1/reservations${query}`);
const rowsOf = (answer: TestResponse): Row[] => {
  expect(answer.status, `answered ${answer.text}`).toBe(200);
  return (answer.json as { reservations: Row[] }).reservations;
};
/** The places of the rows of a list. */
const places = async (query: string, sender?: Sender): Promise<number[]> =>
  rowsOf(await list(query, sender)).map(({ reservation_id: id }) => ids.indexOf(id));
const iso = (ms: number): string => encodeURIComponent(new Date(ms).toISOString());

describe('one reservation', () => {
  test('is shown whole, as it was made and as it was settled, to the digit', async () => {
    const answer = await runtime.ask('getReservation', runtime.key, 'GET', `/v1/reservations/${ids[1]}`);
    expect(answer.json).toEqual({
      reservation_id: ids[1],
      status: 'COMMITTED',
      idempotency_key: 'made-1',
      subject: { tenant: 'acme', app: 'odd', agent: 'Agent1', dimensions: { team: 'x' } },
      action: { kind: 'llm.completion', name: 'a-model' },
      reserved: { unit: 'TOKENS', amount: 11 },
      committed: { unit: 'TOKENS', amount: 5 },
      created_at_ms: startMs + 10,
      expires_at_ms: startMs + 10 + 59_000,
      finalized_at_ms: startMs + 60,
      scope_path: 'tenant:acme/app:odd/agent:agent1',
      affected_scopes: ['tenant:acme', 'tenant:acme/app:odd', 'tenant:acme/app:odd/agent:agent1'],
      metadata: { place: 1, big: 9_007_199_254_740_993n },
      committed_metadata: { done: true, n: 2n ** 60n },
    });
    const active = await runtime.ask('getReservation', runtime.operator, 'GET', `/v1/reservations/${ids[0]}`);
    expect(active.json).not.toHaveProperty('committed');
    expect(active.json).not.toHaveProperty('finalized_at_ms');
  });

  test('an unknown one is 404, another tenant’s 403, and one out of the key’s scopes too', async () => {
    const get = (id: string | undefined, sender: Sender): Promise<TestResponse> =>
      runtime.ask('getReservation', sender, 'GET', `/v1/reservations/${id}`);
    expect(codeOf(await get('rsv_nobodys', runtime.key))).toBe('NOT_FOUND');
    const stranger = await get(ids[0], await runtime.keyOf('other'));
    expect([stranger.status, codeOf(stranger)]).toEqual([403, 'FORBIDDEN']);
    const held = await runtime.keyOf('acme', { scope_filter: ['app:odd'] });
    expect([codeOf(await get(ids[0], held)), codeOf(await get(ids[1], held))]).toEqual(['FORBIDDEN', 200]);
    expect(codeOf(await get(ids[0], await runtime.keyOf('acme', { permissions: ['reservations:create'] })))).toBe('FORBIDDEN');
  });
});

describe('the list', () => {
  test('is newest first, each row with what it always shows and without the maps', async () => {
    const rows = rowsOf(await list());
    expect(rows.map(({ reservation_id: id }) => ids.indexOf(id))).toEqual([5, 4, 3, 2, 1, 0]);
    expect(rows[4]).toMatchObject({ status: 'COMMITTED', committed: { unit: 'TOKENS', amount: 5 }, finalized_at_ms: startMs + 60 });
    for (const row of rows) {
      expect(row).not.toHaveProperty('metadata');
      expect(row).not.toHaveProperty('committed_metadata');
    }
    expect(rows.find(({ status }) => status === 'RELEASED')).toHaveProperty('finalized_at_ms');
    expect(rows.find(({ status }) => status === 'ACTIVE')).not.toHaveProperty('finalized_at_ms');
  });

  test('shows the maps that are asked for, and passes over names that nobody knows', async () => {
    const rows = rowsOf(await list('?include=metadata,%20committed_metadata,evidence,surprise,'));
    expect(rows[4]).toMatchObject({
      metadata: { place: 1, big: 9_007_199_254_740_993n },
      committed_metadata: { done: true, n: 2n ** 60n },
    });
    expect(rows[0]).toHaveProperty('metadata');
    expect(rows[0]).not.toHaveProperty('committed_metadata');
  });

  test.each<[string, number[]]>([
    ['?status=ACTIVE', [5, 4, 3, 0]],
    ['?status=COMMITTED', [1]],
    ['?status=RELEASED', [2]],
    ['?status=EXPIRED', []],
    ['?idempotency_key=made-4', [4]],
    ['?idempotency_key=nobodys', []],
    ['?app=odd', [5, 3, 1]],
    ['?app=ODD&agent=agent3', [3]],
    ['?agent=agent', []],
    ['?workspace=odd', []],
    ['?tenant=acme&status=RELEASED', [2]],
    ['?from=&to=&expires_from=&status=', [5, 4, 3, 2, 1, 0]],
    ['?sort_by=created_at_ms&sort_dir=asc', [0, 1, 2, 3, 4, 5]],
    ['?sort_by=expires_at_ms', [0, 1, 2, 3, 4, 5]],
    ['?sort_by=reserved', [5, 4, 3, 2, 1, 0]],
    ['?sort_by=reserved&sort_dir=asc', [0, 1, 2, 3, 4, 5]],
    ['?sort_by=scope_path&sort_dir=asc', [0, 2, 4, 1, 3, 5]],
    ['?sort_by=reservation_id&sort_dir=asc', [0, 1, 2, 3, 4, 5]],
    ['?sort_by=tenant&sort_dir=desc', [5, 4, 3, 2, 1, 0]],
    ['?sort_by=status&sort_dir=asc', [0, 3, 4, 5, 1, 2]],
    ['?sort_by=status&sort_dir=desc', [2, 1, 5, 4, 3, 0]],
  ])('%s', async (query, expected) => {
    expect(await places(query)).toEqual(expected);
  });

  test('windows are inclusive at both ends and combine; one on the end leaves out what has none', async () => {
    expect(await places(`?from=${iso(startMs + 10)}&to=${iso(startMs + 30)}`)).toEqual([3, 2, 1]);
    expect(await places(`?expires_from=${iso(startMs + 20 + 58_000)}&sort_dir=asc`)).toEqual([0, 1, 2]);
    expect(await places(`?finalized_from=${iso(startMs)}`)).toEqual([2, 1]);
    expect(await places(`?finalized_to=${iso(startMs + 60)}`)).toEqual([1]);
    expect(await places(`?finalized_from=${iso(startMs)}&status=ACTIVE`)).toEqual([]);
    expect(await places(`?from=${iso(startMs)}&finalized_to=${iso(startMs + 60)}&app=even`)).toEqual([]);
  });

  test.each(['', '?sort_by=expires_at_ms', '?sort_by=status', '?sort_by=reserved&sort_dir=asc', '?sort_by=scope_path', '?sort_by=tenant'])(
    'page by page it gives every row once, and says truly whether more follow: %s',
    async (query) => {
      const whole = await places(query);
      for (const limit of [1, 2, 3, 6]) {
        const seen: number[] = [];
        let cursor: string | undefined;
        for (let page = 0; page < 10; page += 1) {
          const at = cursor === undefined ? '' : `&cursor=${encodeURIComponent(cursor)}`;
          const answer = await list(`${query === '' ? '?' : `${query}&`}limit=${limit}${at}`);
          const body = answer.json as { reservations: Row[]; has_more: boolean; next_cursor?: string };
          seen.push(...body.reservations.map(({ reservation_id: id }) => ids.indexOf(id)));
          expect(body.has_more).toBe(seen.length < whole.length);
          expect(body.next_cursor === undefined).toBe(!body.has_more);
          cursor = body.next_cursor;
          if (cursor === undefined) break;
        }
        expect(seen).toEqual(whole);
      }
    },
  );

  test('a cursor is good for its own filters and order alone, but for whatever is shown', async () => {
    const first = (await list('?limit=2')).json as { next_cursor: string };
    const at = (query: string): Promise<TestResponse> => list(`${query}&cursor=${encodeURIComponent(first.next_cursor)}`);
    expect(codeOf(await at('?limit=3&include=metadata'))).toBe(200);
    for (const query of ['?sort_dir=asc', '?sort_by=reserved', '?status=ACTIVE', `?from=${iso(startMs)}`, '?app=odd'])
      expect(codeOf(await at(query)), `at ${query}`).toBe('INVALID_REQUEST');
    expect(codeOf(await list('?cursor=nonsense'))).toBe('INVALID_REQUEST');
    const operatorCursor = (await list('?tenant=acme&limit=2', runtime.operator)).json as { next_cursor: string };
    expect(codeOf(await list(`?tenant=acme&limit=2&cursor=${encodeURIComponent(operatorCursor.next_cursor)}`))).toBe('INVALID_REQUEST');
  });

  test.each<[string, string]>([
    ['?limit=0', 'limit'],
    ['?limit=201', 'limit'],
    ['?limit=ten', 'limit'],
    ['?limit=-1', 'limit'],
    ['?status=active', 'status'],
    ['?sort_by=size', 'sort_by'],
    ['?sort_dir=up', 'sort_dir'],
    ['?from=yesterday', 'from'],
    ['?from=2026-02-30T00:00:00Z', 'from'],
    ['?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 'from'],
    ['?expires_from=2026-01-02T00:00:00Z&expires_to=2026-01-01T00:00:00Z', 'expires_from'],
    ['?finalized_from=2026-01-02T00:00:00Z&finalized_to=2026-01-01T00:00:00Z', 'finalized_from'],
    ['?app=a/b', 'app'],
    [`?idempotency_key=${'k'.repeat(257)}`, 'idempotency_key'],
    ['?limit=1&limit=2', 'limit'],
  ])('%s is refused, and the answer names %s', async (query, field) => {
    const answer = await list(query);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'INVALID_REQUEST']);
    expect((answer.json as { details: { field: string } }).details.field).toBe(field);
  });

  test('200 rows are taken, and parameters that nobody knows are passed over', async () => {
    expect(await places('?limit=200&surprise=1')).toHaveLength(6);
  });

  test('a key sees its own tenant within its scopes; the operator says whose', async () => {
    expect(await places('?tenant=acme', runtime.operator)).toHaveLength(6);
    expect(rowsOf(await list('?tenant=other', runtime.operator))).toEqual([]);
    const missing = await list('', runtime.operator);
    expect([missing.status, codeOf(missing)]).toEqual([400, 'INVALID_REQUEST']);
    expect((missing.json as { message: string }).message).toBe('tenant query parameter is required when using admin key authentication');
    const foreign = await list('?tenant=other');
    expect([foreign.status, codeOf(foreign)]).toEqual([403, 'FORBIDDEN']);
    expect(await places('', await runtime.keyOf('acme', { scope_filter: ['app:odd'] }))).toEqual([5, 3, 1]);
    expect(rowsOf(await list('', await runtime.keyOf('other')))).toEqual([]);
    expect(codeOf(await list('', await runtime.keyOf('acme', { permissions: ['reservations:commit'] })))).toBe('FORBIDDEN');
    expect(codeOf(await list('', runtime.as(null)))).toBe('UNAUTHORIZED');
  });
});

test('gateway calls are no reservations of clients: neither listed nor shown', async () => {
  const { writer } = runtime;
  await writer.execute({
    verb: 'reserve',
    id: 'cmd_call',
    tenantId: 'acme',
    reservationId: 'call_1',
    purpose: 'call',
    legs: [],
    output: { min: 0n, max: 0n },
    mustCover: false,
    mustCoverMoney: false,
    otherUnitAccounts: [],
    overagePolicy: 'ALLOW_IF_AVAILABLE',
    ttlMs: 1000,
    graceMs: 0,
    maxExtensions: 0,
    ownerId: 'run_test',
    context: null,
  });
  expect(rowsOf(await list()).map(({ reservation_id: id }) => id)).not.toContain('call_1');
  expect(codeOf(await runtime.ask('getReservation', runtime.operator, 'GET', '/v1/reservations/call_1'))).toBe('NOT_FOUND');
  expect(codeOf(await runtime.release('call_1', {}, runtime.operator))).toBe('NOT_FOUND');
});

import pg from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeKeyReader } from '../../src/app/list-keys.ts';
import type { AccountId } from '../../src/core/ledger/account.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeCommands } from './commands.ts';
import { makeSqliteStore } from './sqlite-store.ts';
import { makeTestClock, type TestStore } from './test-store.ts';

const KEYS = 100_000;
const PAGE = 50;

const idOf = (number: number): string => `key_${String(number).padStart(26, '0')}`;

/**
 * Inserts keys with their token accounts, as many as a large tenant has: of each hundred one inference key, the others management keys,
 * so that a page of inference keys would read a hundred rows for each of its own if it had to look for them. Another tenant's keys lie
 * between them. Events likewise: one of each hundred is the tenant's, and one of each thousand tells of a threshold.
 *
 * `series` gives the numbers from 1 on as the column `n`; `padded` is the number with zeros; `bodyType` is the type of a body.
 */
const insertRows = (dialect: { series: string; padded: string; bodyType: string; no: string }): string[] => {
  const id = `'key_' || ${dialect.padded}`;
  const kind = `CASE WHEN n % 100 = 0 THEN 'inference' ELSE 'management' END`;
  const body = (keyId: string, tenantId: string, hash: string): string => `CAST(
    '{"id":"' || ${keyId} || '","tenantId":"${tenantId}","kind":"' || ${kind} || '","name":"n","hash":"' || ${hash} || '",
      "mask":"tk_****","sealed":null,"createdBy":"ann","disabled":false,"expiresAtMs":null,"metadata":{},"outputBound":"hard",
      "createdAtMs":1,"deletedAtMs":null}' AS ${dialect.bodyType})`;
  const keysOf = (tenantId: string, keyId: string, hash: string): string =>
    `SELECT ${keyId} AS id, '${tenantId}', ${kind}, ${hash}, 'n', 1, ${body(keyId, tenantId, hash)} FROM numbers`;
  return [
    `INSERT INTO api_keys (id, tenant_id, kind, hash, name, created_at_ms, body)
     ${dialect.series} SELECT * FROM (
       ${keysOf('acme', id, `'hash ' || n`)} UNION ALL ${keysOf('other', `${id} || 'x'`, `'other ' || n`)} WHERE n % 4 = 0
     ) AS rows ORDER BY id`,
    `INSERT INTO accounts (tenant_id, kind, scope, unit, period, allocated, spent, reserved, debt, overdraft_limit, is_over_limit, status,
       created_at_ms, terms_sum, journal_sum)
     ${dialect.series} SELECT 'acme', 'key_cap', 'key:' || ${id}, 'TOKENS', '', NULL, 0, 0, 0, 0, ${dialect.no}, 'ACTIVE', 1, 0, 0 FROM numbers`,
    `INSERT INTO events (id, type, tenant_id, at_ms, data)
     ${dialect.series} SELECT 'evt_' || n, CASE WHEN n % 1000 = 0 THEN 'budget.threshold_crossed' ELSE 'api_key.updated' END,
       CASE WHEN n % 100 = 0 THEN 'acme' ELSE 'other' END, 1, CAST('{}' AS ${dialect.bodyType}) FROM numbers`,
  ];
};

/** A store that remembers of how many keys it was asked for the accounts and the counters. */
function counted(store: RecordStore): {
  records: Pick<RecordStore, 'keys' | 'accounts' | 'keyUsage'>;
  asked: { accounts: number; usage: number; keys: number };
} {
  const asked = { accounts: 0, usage: 0, keys: 0 };
  return {
    asked,
    records: {
      keys: async (query) => {
        const found = await store.keys(query);
        asked.keys += found.length;
        return found;
      },
      accounts: (ids: readonly AccountId[]) => {
        asked.accounts += ids.length;
        return store.accounts(ids);
      },
      keyUsage: (query) => {
        asked.usage += query.keyIds?.length ?? Infinity;
        return store.keyUsage(query);
      },
    },
  };
}

/** A page from the beginning, one from the middle and one from the end of the inference keys; and one of all kinds. */
async function readPages(store: RecordStore): Promise<ReturnType<typeof counted>['asked']> {
  const { records, asked } = counted(store);
  const reader = makeKeyReader({ records });
  const inference = Array.from({ length: KEYS / 100 }, (_, index) => idOf((index + 1) * 100));
  for (const start of [0, inference.length / 2, inference.length - PAGE]) {
    const afterId = inference[start - 1];
    const query = { tenantId: 'acme', kinds: ['inference'] as const, limit: PAGE, ...(afterId === undefined ? {} : { afterId }) };
    const { keys, next } = await reader.page(query);
    expect(keys.map(({ key }) => key.id)).toEqual(inference.slice(start, start + PAGE));
    expect(next).toBe(start + PAGE < inference.length ? inference[start + PAGE - 1] : null);
  }
  const all = await reader.page({ tenantId: 'acme', kinds: ['inference', 'management'], limit: PAGE, afterId: idOf(50_000) });
  expect(all.keys.map(({ key }) => key.id)).toEqual(Array.from({ length: PAGE }, (_, index) => idOf(50_001 + index)));
  return asked;
}

/** What a page of fifty may be asked for, four times: its keys and the one after, and two accounts of each. */
const expectPagesOnly = (asked: { accounts: number; usage: number; keys: number }): void => {
  expect(asked.keys).toBeLessThanOrEqual(4 * (PAGE + 1));
  expect(asked.accounts).toBe(4 * PAGE * 2);
  expect(asked.usage).toBe(4 * PAGE);
};

/** Two pages of a tenant's events, of all types and of one. */
async function expectEvents(store: RecordStore): Promise<void> {
  const shown = async (query: { type?: string; beforeSeq?: number }): Promise<string[]> =>
    (await store.events({ tenantId: 'acme', limit: 3, ...query })).map(({ event }) => event.id);
  const [, , third] = await store.events({ tenantId: 'acme', limit: 3 });
  expect(third?.event.id).toBe(`evt_${KEYS - 200}`);
  const beforeSeq = third?.seq ?? 0;
  expect(await shown({ beforeSeq })).toEqual([300, 400, 500].map((back) => `evt_${KEYS - back}`));
  const type = 'budget.threshold_crossed';
  expect(await shown({ type })).toEqual([0, 1000, 2000].map((back) => `evt_${KEYS - back}`));
  expect(await shown({ type, beforeSeq })).toEqual([1000, 2000, 3000].map((back) => `evt_${KEYS - back}`));
}

describe('a hundred thousand keys on SQLite', () => {
  let at: TestStore;
  beforeAll(async () => {
    at = await makeSqliteStore({ clock: makeTestClock() });
    await at.store.execute('batch_1', [makeCommands().createTenant('acme')], 0);
    const series = `WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${KEYS})`;
    for (const sql of insertRows({ series, padded: `printf('%026d', n)`, bodyType: 'TEXT', no: '0' })) await at.raw(sql);
  }, 120_000);
  afterAll(() => at.destroy());

  // That each statement is one range of an index, without a sort, is what the query plans beside the statements prove.
  test('a page asks for its own keys only, wherever it lies and however rare its kind is', async () => {
    expectPagesOnly(await readPages(at.store));
  });

  test('events are listed from among a hundred thousand', () => expectEvents(at.store));

  test('any key is found by its value, and one more is made', async () => {
    for (const number of [1, KEYS / 2, KEYS]) expect((await at.store.keyByHash(`hash ${number}`))?.id).toBe(idOf(number));
    const commands = makeCommands(1_000);
    expect((await at.store.execute('batch_2', [commands.createKey('acme', 'key_new')], 0)).outcomes).toMatchObject([{ ok: true }]);
    expect((await at.store.keyByHash('hash-of-acme-key_new'))?.id).toBe('key_new');
  });
});

describePostgres('a hundred thousand keys', () => {
  let cluster: PostgresCluster;
  let url: string;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false, settings: { autovacuum: 'off' } });
    url = await cluster.createDatabase();
    await using(async (store) => void (await store.execute('batch_1', [makeCommands().createTenant('acme')], 0)));
    const series = `WITH numbers (n) AS (SELECT generate_series(1, ${KEYS}))`;
    for (const sql of insertRows({ series, padded: `lpad(n::text, 26, '0')`, bodyType: 'json', no: 'false' })) await raw(sql);
    await raw('VACUUM ANALYZE');
  }, 120_000);
  afterAll(() => cluster.stop());
  afterEach(() => raw('VACUUM ANALYZE api_keys'));

  const raw = async (sql: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  async function using<T>(work: (store: Awaited<ReturnType<typeof openPostgresStore>>) => Promise<T>): Promise<T> {
    const store = await openPostgresStore({ url });
    try {
      return await work(store);
    } finally {
      await store.close();
    }
  }
  /** Rows that were read of the tables of keys and accounts, by the server's own counters: all of a scan, and those found by an index. */
  const touched = async (
    work: (store: RecordStore & Awaited<ReturnType<typeof openPostgresStore>>) => Promise<void>,
  ): Promise<{ scanned: number; found: number }> => {
    const read = async (): Promise<{ scanned: number; found: number }> => {
      const [row] = await raw(`SELECT sum(seq_tup_read)::int AS scanned, sum(idx_tup_fetch)::int AS found FROM pg_stat_user_tables
        WHERE relname IN ('api_keys', 'accounts', 'usage_rollups', 'events')`);
      return row as { scanned: number; found: number };
    };
    const before = await read();
    // A session publishes its counters when it ends, so the work has sessions of its own.
    await using(work);
    const after = await read();
    return { scanned: after.scanned - before.scanned, found: after.found - before.found };
  };

  test('a page asks for its own keys only, and the server reads no more rows than it shows', async () => {
    const rows = await touched(async (store) => expectPagesOnly(await readPages(store)));
    expect(rows.scanned).toBe(0);
    // Keys, one more for the next page, as many again of the other kind in the page of both, and the accounts of those shown.
    expect(rows.found).toBeGreaterThanOrEqual(4 * PAGE);
    expect(rows.found).toBeLessThanOrEqual(5 * (PAGE + 1) + 4 * PAGE);
  });

  test('a page of a tenant’s events reads no others, of one type neither', async () => {
    expect(await touched(expectEvents)).toEqual({ scanned: 0, found: 4 * 3 });
  });

  test('a key is found by its value, and one more made, by a handful of rows', async () => {
    const rows = await touched(async (store) => {
      for (const number of [1, KEYS / 2, KEYS]) expect((await store.keyByHash(`hash ${number}`))?.id).toBe(idOf(number));
      expect(await store.keyByHash('nobody')).toBeUndefined();
      const { outcomes } = await store.execute('batch_2', [makeCommands(1_000).createKey('acme', 'key_new')], 0);
      expect(outcomes).toMatchObject([{ ok: true }]);
    });
    expect(rows.scanned).toBe(0);
    expect(rows.found).toBeLessThanOrEqual(10);
  });
});

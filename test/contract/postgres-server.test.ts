import { setImmediate as nextTurn } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { Command } from '../../src/core/verbs.ts';
import { USAGE_COLUMNS } from '../../src/stores/_shared/usage-row.ts';
import { openPostgresStore, type PostgresStoreOptions } from '../../src/stores/postgres/open-postgres-store.ts';
import { openSession } from '../../src/stores/postgres/session.ts';
import { allocate, idempotent, debit, reserve, TENANT } from '../support/ledger-fixtures.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';

type Store = Awaited<ReturnType<typeof openPostgresStore>>;

const DAY_MS = 86_400_000;

/** A statement that adds a usage event in which one count is below zero. */
function insertUsage(negative: string): string {
  const values = USAGE_COLUMNS.map((column, index) => {
    if (index < 7) return `'x'`;
    if (['streaming', 'estimated', 'interrupted'].includes(column)) return 'false';
    return column === negative ? '-1' : '1';
  });
  return `INSERT INTO usage_tail (${USAGE_COLUMNS.join(', ')}) VALUES (${values.join(', ')})`;
}

describePostgres('a PostgreSQL store and its server', () => {
  let cluster: PostgresCluster;
  let database: string;
  const opened: Store[] = [];
  const held: pg.Client[] = [];

  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    database = await cluster.createDatabase();
  });
  afterEach(async () => {
    vi.restoreAllMocks();
    await Promise.all(held.splice(0).map((holder) => holder.end()));
    await Promise.all(opened.splice(0).map((store) => store.close()));
  });

  const open = async (options: Partial<PostgresStoreOptions> = {}): Promise<Store> => {
    const store = await openPostgresStore({ url: database, nodeId: 'seen', lanes: 1, ...options });
    opened.push(store);
    await store.execute('batch_0', [allocate(1000n)], 0);
    return store;
  };
  const sql = (text: string): Promise<Record<string, unknown>[]> => cluster.sql(text, new URL(database).pathname.slice(1));
  const holdLock = async (table: string): Promise<pg.Client> => {
    const holder = new pg.Client({ connectionString: database });
    held.push(holder);
    await holder.connect();
    await holder.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
    return holder;
  };
  const setNodeClock = (offsetMs: number): void => {
    const now = Date.now.bind(Date);
    vi.spyOn(Date, 'now').mockImplementation(() => now() + offsetMs);
  };

  test('a node whose clock is fast forgets nothing before its time by the server', async () => {
    const store = await open();
    const charge: Command = debit(7n, { id: 'cmd_1', debitId: 'd1', idempotency: idempotent('debit', { keepMs: 60_000 }) });
    await store.execute('batch_1', [charge], 0);
    setNodeClock(400 * DAY_MS);
    expect(await store.prune()).toBe(0);
    expect(await sql('SELECT count(*)::int AS n FROM idempotency')).toEqual([{ n: 1 }]);
    await sql('UPDATE idempotency SET expires_at_ms = 1');
    expect(await store.prune()).toBe(1);
  });

  test('a reservation is past its expiry by the time of the server, not of the node', async () => {
    const store = await open();
    await store.execute('batch_1', [reserve({ reservationId: 'res_a' })], 0);
    setNodeClock(400 * DAY_MS);
    expect(await store.expiredReservations({ limit: 10 })).toEqual([]);
    setNodeClock(-400 * DAY_MS);
    await sql('UPDATE reservations SET expires_at_ms = created_at_ms - 1, grace_ms = 0');
    expect(await store.expiredReservations({ limit: 10 })).toEqual([{ id: 'res_a', tenantId: TENANT }]);
  });

  test('a server that has stopped without dying does not keep the store from closing', async () => {
    const store = await open({ timeouts: { closeMs: 200 } });
    await Promise.all([store.generation(), store.keyByHash('none'), store.reservation('none')]);
    const rows = await sql(`SELECT pid FROM pg_stat_activity WHERE application_name = 'castellan seen'`);
    const pids = rows.map((row) => Number(row['pid']));
    expect(pids.length).toBeGreaterThanOrEqual(4);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    try {
      const asked = store.usageTotals({ tenantId: TENANT, fromMs: null, intervalMs: 5000 }).catch((error: unknown) => error);
      // The pool hands the query to its connection in the next tick.
      await nextTurn();
      const startedMs = performance.now();
      await store.close();
      expect(performance.now() - startedMs).toBeLessThan(2000);
      expect(await asked).toMatchObject({ name: 'Fault', code: 'store_unavailable' });
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    }
  });

  test('queries that wait for a lock hold up neither authentication nor the signs of life', async () => {
    const store = await open({ readers: 2, timeouts: { lockMs: 20_000, statementMs: 25_000 } });
    const holder = await holdLock('usage_rollups');
    let isAnswered = false;
    const queries = Array.from({ length: 6 }, () =>
      store
        .usageTotals({ tenantId: TENANT, fromMs: null, intervalMs: 5000 })
        .catch((error: unknown) => error)
        .finally(() => (isAnswered = true)),
    );
    await vi.waitUntil(
      async () =>
        (await sql(`SELECT 1 FROM pg_stat_activity WHERE application_name = 'castellan seen' AND wait_event_type = 'Lock'`)).length === 2,
      { timeout: 5000 },
    );
    expect(await store.heartbeat({ ownerId: 'run_1', withinMs: 1000 })).toEqual(['run_1']);
    expect(await store.generation()).toBeGreaterThanOrEqual(0);
    expect(await store.keyByHash('none')).toBeUndefined();
    expect(await store.record('key', 'none')).toBeUndefined();
    expect(isAnswered).toBe(false);
    await holder.query('ROLLBACK');
    expect(await Promise.all(queries)).toEqual(queries.map(() => []));
  });

  test('a query is not kept waiting for a lock longer than a batch is', async () => {
    const store = await open({ timeouts: { lockMs: 50 } });
    await holdLock('usage_rollups');
    await expect(store.usageTotals({ tenantId: TENANT, fromMs: null, intervalMs: 5000 })).rejects.toMatchObject({
      code: 'store_unavailable',
      message: expect.stringContaining('lock timeout') as unknown,
    });
  });

  test('a server that is told to flush no longer goes on flushing the commits of writers that are connected', async () => {
    const timeouts = { connectMs: 5000, lockMs: 2000, statementMs: 10_000, answerMs: 15_000, closeMs: 3000 };
    const session = await openSession({ url: database, applicationName: 'castellan', timeouts });
    const bystander = new pg.Client({ connectionString: database });
    await bystander.connect();
    const SHOW = `SELECT current_setting('synchronous_commit') AS value`;
    try {
      await sql('ALTER SYSTEM SET synchronous_commit = off');
      await sql('SELECT pg_reload_conf()');
      await vi.waitUntil(async () => (await bystander.query<{ value: string }>(SHOW)).rows[0]?.value === 'off');
      const [answer] = await session.send([{ statement: { name: 'show', text: SHOW } }]);
      expect(answer?.rows).toEqual([{ value: 'on' }]);
      await expect(openSession({ url: database, applicationName: 'castellan', timeouts })).rejects.toMatchObject({
        code: 'store_unavailable',
      });
    } finally {
      await sql('ALTER SYSTEM RESET synchronous_commit');
      await sql('SELECT pg_reload_conf()');
      await vi.waitUntil(async () => (await bystander.query<{ value: string }>(SHOW)).rows[0]?.value === 'on');
      await bystander.end();
      await session.close();
    }
  });

  test.each([
    ['a kind of account that there is not', `UPDATE accounts SET kind = 'purse'`],
    ['a status of account that there is not', `UPDATE accounts SET status = 'LOST'`],
    ['a balance below zero', `UPDATE accounts SET spent = -1`],
    ['a state of reservation that there is not', `UPDATE reservations SET state = 'GONE'`],
    ['a purpose of reservation that there is not', `UPDATE reservations SET purpose = 'fun'`],
    ...USAGE_COLUMNS.slice(9, 16).map((column) => [`usage with ${column} below zero`, insertUsage(column)]),
  ])('the database refuses %s', async (_what, statement = '') => {
    const store = await open();
    await store.execute('batch_1', [reserve({ reservationId: 'res_a' })], 0);
    await expect(sql(statement)).rejects.toMatchObject({ code: '23514' });
  });
});

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { makeLedgerWriter } from '../../src/app/ledger-writer.ts';
import { Fault } from '../../src/core/fault.ts';
import type { Command } from '../../src/core/verbs.ts';
import type { Failpoint } from '../../src/ports/failpoints.ts';
import type { Log } from '../../src/ports/log.ts';
import { loadMigrations } from '../../src/stores/_shared/migrations.ts';
import { openPostgresStore, type PostgresStoreOptions } from '../../src/stores/postgres/open-postgres-store.ts';
import { allocate, balances, debit, reserve, TENANT_BUDGET, valueOf } from '../support/ledger-fixtures.ts';
import { startDropProxy, type CommitFault, type DropProxy } from '../support/drop-proxy.ts';
import { describePostgres, postgresBinaries, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';

type Store = Awaited<ReturnType<typeof openPostgresStore>>;

const noLog = (): void => undefined;
const silentLog: Log = { debug: noLog, info: noLog, warn: noLog, error: noLog };

const charge = (id: string, amount = 7n): Command => debit(amount, { id: `cmd_${id}`, debitId: id });

describePostgres('a PostgreSQL store whose connection fails', () => {
  let cluster: PostgresCluster;
  let proxy: DropProxy;
  let database: string;
  const opened: Store[] = [];

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });
  afterAll(() => cluster.stop());

  beforeEach(async () => {
    database = await cluster.createDatabase();
    proxy = await startDropProxy(cluster.port);
  });
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((store) => store.close()));
    await proxy.close();
  });

  const open = async (options: Partial<PostgresStoreOptions> = {}): Promise<Store> => {
    const store = await openPostgresStore({ url: proxy.url(database), lanes: 2, ...options });
    opened.push(store);
    await store.execute('batch_0', [allocate(1000n)], 0);
    return store;
  };
  const sql = (text: string): Promise<Record<string, unknown>[]> => cluster.sql(text, new URL(database).pathname.slice(1));
  const lines = async (command: string): Promise<number> =>
    Number((await sql(`SELECT count(*) AS n FROM ledger_entries WHERE command = '${command}'`))[0]?.['n']);
  const expectSpent = async (store: Store, spent: bigint): Promise<void> => {
    const account = (await store.accounts([TENANT_BUDGET])).get(TENANT_BUDGET);
    expect(account && balances(account)).toEqual([1000n, spent, 0n, 0n]);
    expect((await store.verify()).discrepancies).toEqual([]);
  };

  test.each<CommitFault>(['answer-dropped', 'request-dropped', 'answer-withheld'])(
    'a COMMIT that is lost (%s) happens once, and its outcome is answered',
    async (fault) => {
      const store = await open({ timeouts: { statementMs: 300, answerMs: 500 } });
      const happened = proxy.arm(fault);
      const result = await store.execute('batch_1', [charge('d1')], 0);
      await happened;
      expect(result.outcomes.map(valueOf)).toMatchObject([{ debitId: 'd1', charged: '7' }]);
      expect(await lines('d1')).toBe(1);
      await store.execute('batch_2', [charge('d2')], 0);
      await expectSpent(store, 14n);
    },
  );

  test('a COMMIT that reaches the server after its connection was given up changes nothing', async () => {
    const store = await open();
    const happened = proxy.arm('delivered-late');
    const pending = store.execute('batch_1', [charge('d1')], 0);
    await happened;
    const result = await pending;
    proxy.deliver();
    expect(result.outcomes.map(valueOf)).toMatchObject([{ debitId: 'd1' }]);
    expect((await sql('SELECT id FROM batches ORDER BY id')).map((row) => row['id'])).toEqual(['batch_0', 'batch_1']);
    expect(await lines('d1')).toBe(1);
    await expectSpent(store, 7n);
  });

  test('where it cannot be learned whether a COMMIT happened the batch fails, and the store works again afterwards', async () => {
    const store = await open({ reconnectMs: 100, giveUpMs: 300 });
    const happened = proxy.arm('answer-dropped').then(() => proxy.cut(true));
    const error: unknown = await store.execute('batch_1', [charge('d1')], 0).catch((thrown: unknown) => thrown);
    await happened;
    expect(error).toBeInstanceOf(Fault);
    expect(error).toMatchObject({ code: 'store_unavailable', publicMessage: 'The store is unavailable at the moment.' });
    proxy.cut(false);
    await store.execute('batch_2', [charge('d2')], 0);
    // The answer was lost, not the commit.
    expect(await lines('d1')).toBe(1);
    await expectSpent(store, 14n);
  });

  describe('the answer to a COMMIT is lost while somebody holds the table that could tell', () => {
    let holder: pg.Client;
    beforeEach(async () => {
      holder = new pg.Client({ connectionString: database });
      await holder.connect();
    });
    afterEach(() => holder.end());

    /** Loses the next COMMIT's answer, and locks the table of batches before anybody can look at it. */
    const loseAnswerAndLock = async (): Promise<void> => {
      await proxy.arm('answer-dropped');
      proxy.cut(true);
      await holder.query('BEGIN');
      await holder.query('LOCK TABLE batches IN ACCESS EXCLUSIVE MODE');
      proxy.cut(false);
    };

    test('commands that shared the batch happen once, and their outcomes are answered', async () => {
      const store = await open({ lanes: 1, timeouts: { lockMs: 50 } });
      let count = 0;
      const writer = makeLedgerWriter({
        store,
        ids: { next: (prefix) => `${prefix}_w${++count}` },
        onRecordsChanged: () => undefined,
        maxQueued: 10,
        failpoints: { hit: () => undefined },
        log: silentLog,
      });
      const locked = loseAnswerAndLock();
      const both = Promise.all([writer.execute(charge('d1')), writer.execute(charge('d2'))]);
      await locked;
      // It has looked at the table, in vain.
      await vi.waitUntil(() => cluster.log().includes('canceling statement due to lock timeout'), { timeout: 8000 });
      await holder.query('ROLLBACK');
      expect((await both).map(valueOf)).toMatchObject([
        { debitId: 'd1', charged: '7' },
        { debitId: 'd2', charged: '7' },
      ]);
      expect([await lines('d1'), await lines('d2')]).toEqual([1, 1]);
      await expectSpent(store, 14n);
    });

    test('where it is not let go in time the batch fails as unavailable, which says that nobody knows', async () => {
      const store = await open({ timeouts: { lockMs: 50 }, giveUpMs: 800 });
      const locked = loseAnswerAndLock();
      const failed = store.execute('batch_1', [charge('d1')], 0).catch((thrown: unknown) => thrown);
      await locked;
      expect(await failed).toMatchObject({ name: 'Fault', code: 'store_unavailable' });
      await holder.query('ROLLBACK');
      await store.execute('batch_2', [charge('d2')], 0);
      await expectSpent(store, 14n);
    });
  });

  test('while the server is away every batch and read fails as unavailable, and both work once it is back', async () => {
    const store = await open({ reconnectMs: 50, giveUpMs: 100 });
    proxy.cut(true);
    await expect(store.execute('batch_1', [charge('d1')], 0)).rejects.toMatchObject({ name: 'Fault', code: 'store_unavailable' });
    await expect(store.accounts([TENANT_BUDGET])).rejects.toMatchObject({ name: 'Fault', code: 'store_unavailable' });
    proxy.cut(false);
    await store.execute('batch_2', [charge('d2')], 0);
    expect(await lines('d1')).toBe(0);
    await expectSpent(store, 7n);
  });

  describe.each<Failpoint>(['batch.loaded', 'batch.decided', 'batch.written', 'batch.committed'])(
    'the server process ended at %s',
    (point) => {
      test('the batch happens once and is answered', async () => {
        let kills = 0;
        const killBackend = (): void => {
          const text = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'castellan victim' AND (state <> 'idle' OR query ILIKE '%commit%')`;
          const run = spawnSync(join(postgresBinaries() ?? '', 'psql'), ['-d', database, '-qAt', '-c', text], { encoding: 'utf8' });
          expect(run.stderr).toBe('');
          kills += run.stdout.split('\n').filter((line) => line === 't').length;
        };
        let isArmed = false;
        const failpoints = {
          hit(reached: Failpoint) {
            if (!isArmed || reached !== point) return;
            isArmed = false;
            killBackend();
          },
        };
        const store = await open({ failpoints, nodeId: 'victim', lanes: 1 });
        isArmed = true;
        const result = await store.execute('batch_1', [charge('d1')], 0);
        expect(kills).toBeGreaterThan(0);
        expect(result.outcomes.map(valueOf)).toMatchObject([{ debitId: 'd1', charged: '7' }]);
        expect(await lines('d1')).toBe(1);
        await store.execute('batch_2', [charge('d2')], 0);
        await expectSpent(store, 14n);
      });
    },
  );

  test('a lock that is not given in time fails the batch, and nothing of it happened', async () => {
    const store = await open({ timeouts: { lockMs: 50 }, giveUpMs: 200 });
    const holder = new pg.Client({ connectionString: database });
    await holder.connect();
    await holder.query('BEGIN');
    await holder.query('SELECT 1 FROM accounts FOR UPDATE');
    await expect(store.execute('batch_1', [charge('d1')], 0)).rejects.toMatchObject({ name: 'Fault', code: 'store_unavailable' });
    await holder.query('ROLLBACK');
    await holder.end();
    await store.execute('batch_2', [charge('d2')], 0);
    expect(await lines('d1')).toBe(0);
    await expectSpent(store, 7n);
  });

  test('a decision that throws leaves nothing behind and no lock', async () => {
    const store = await open();
    await store.execute('batch_1', [reserve({ reservationId: 'res_a', id: 'cmd_a' })], 0);
    const twice = [charge('d1'), reserve({ reservationId: 'res_a', id: 'cmd_b' })];
    await expect(store.execute('batch_2', twice, 0)).rejects.toMatchObject({ name: 'InvariantViolation' });
    // On the other lane: it would wait for a lock of the first for ever.
    await store.execute('batch_3', [charge('d2')], 1);
    expect(await lines('d1')).toBe(0);
    expect(await lines('d2')).toBe(1);
  });

  test('a batch that changes nothing leaves no trace and no lock', async () => {
    const store = await open();
    const { outcomes } = await store.execute('batch_1', [reserve({ amount: 5000n })], 0);
    expect(outcomes).toMatchObject([{ ok: false, rejection: { code: 'budget_exceeded' } }]);
    expect(await sql(`SELECT id FROM batches WHERE id = 'batch_1'`)).toEqual([]);
    await store.execute('batch_2', [charge('d1')], 1);
    await expectSpent(store, 7n);
  });
});

describePostgres('opening a PostgreSQL store', () => {
  let cluster: PostgresCluster;
  let database: string;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    database = await cluster.createDatabase();
  });
  const name = (): string => new URL(database).pathname.slice(1);

  test('a server that commits without flushing is refused', async () => {
    await cluster.sql(`ALTER DATABASE ${name()} SET synchronous_commit = off`);
    const error: unknown = await openPostgresStore({ url: database }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: 'StoreRefusal', message: expect.stringContaining('synchronous_commit') as unknown });
  });

  test('a batch is refused when the server has stopped flushing since the start', async () => {
    const store = await openPostgresStore({ url: database, reconnectMs: 0 });
    await cluster.sql(`ALTER DATABASE ${name()} SET synchronous_commit = off`);
    await expect(store.execute('batch_1', [allocate(1n)], 0)).rejects.toMatchObject({ name: 'Fault', code: 'store_unavailable' });
    await store.close();
  });

  test('a schema newer than the program is refused in one sentence that says both versions', async () => {
    const store = await openPostgresStore({ url: database });
    await store.close();
    await cluster.sql(`INSERT INTO schema_version (version, name, applied_at) VALUES (999, 'later', now())`, name());
    const error: unknown = await openPostgresStore({ url: database }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: 'StoreRefusal',
      message: expect.stringMatching(/schema version 999.*up to version \d+/) as unknown,
    });
  });

  test('a server that is not there is unavailable', async () => {
    const { port, ...rest } = { port: '1', url: new URL(database) };
    rest.url.port = port;
    await expect(openPostgresStore({ url: rest.url.href })).rejects.toMatchObject({ name: 'Fault', code: 'store_unavailable' });
  });

  test.each([
    ['a database that does not exist', (url: URL) => (url.pathname = '/nowhere')],
    ['a user that does not exist', (url: URL) => (url.username = 'nobody')],
  ])('%s is refused in one sentence', async (_what, change) => {
    const url = new URL(database);
    change(url);
    const error: unknown = await openPostgresStore({ url: url.href }).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      name: 'StoreRefusal',
      message: expect.stringMatching(/^DATABASE_URL leads to .* does not exist\.$/) as unknown,
    });
  });

  test('nodes that start at the same time migrate once', async () => {
    const stores = await Promise.all(Array.from({ length: 4 }, () => openPostgresStore({ url: database })));
    const taken = await cluster.sql('SELECT version FROM schema_version ORDER BY version', name());
    expect(taken.map((row) => Number(row['version']))).toEqual(loadMigrations('postgres').map(({ version }) => version));
    await Promise.all(stores.map((store) => store.close()));
  });

  test('a start that dies between two steps leaves the schema as it was, and the next one goes on', async () => {
    const failpoints = {
      hit: () => {
        throw new Error('killed');
      },
    };
    await expect(openPostgresStore({ url: database, failpoints })).rejects.toThrow('killed');
    expect(await cluster.sql(`SELECT to_regclass('accounts') AS accounts`, name())).toEqual([{ accounts: null }]);
    const store = await openPostgresStore({ url: database });
    expect((await store.verify()).discrepancies).toEqual([]);
    await store.close();
  });

  test.each(['UPDATE ledger_entries SET d_spent = d_spent', 'DELETE FROM ledger_entries', 'TRUNCATE ledger_entries'])(
    'the journal refuses %s',
    async (statement) => {
      const store = await openPostgresStore({ url: database });
      await store.execute('batch_1', [allocate(1n)], 0);
      await store.close();
      await expect(cluster.sql(statement, name())).rejects.toThrow('append-only');
    },
  );
});

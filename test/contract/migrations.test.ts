import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadMigrations, parseMigration } from '../../src/stores/_shared/migrations.ts';
import type { LedgerStore } from '../../src/ports/ledger-store.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';
import { migrate as migratePostgres } from '../../src/stores/postgres/migrate.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { DATABASE_FILE } from '../../src/stores/sqlite/connection.ts';
import { migrate as migrateSqlite } from '../../src/stores/sqlite/migrate.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { fixtureFile, RELEASES } from '../support/release-fixtures.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeCommands, moneyOf } from './commands.ts';

/** A database of one kind, with nothing of this program's open. */
interface Place {
  open(warnings?: string[]): Promise<LedgerStore & RecordStore>;
  run(sql: string): Promise<void>;
  rows(sql: string): Promise<Record<string, unknown>[]>;
  /** Takes one more step, as a newer program would. */
  migrateFurther(file: string, sql: string): Promise<void>;
  readonly dialect: 'sqlite' | 'postgres';
}

/** What the release after this one may do to a schema that this one runs on. */
const EXPAND = `
CREATE TABLE later_things (id TEXT PRIMARY KEY, body TEXT NOT NULL);
ALTER TABLE accounts ADD COLUMN later TEXT;
ALTER TABLE reservations ADD COLUMN later BIGINT;
ALTER TABLE usage_tail ADD COLUMN later BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage_events ADD COLUMN later BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN later TEXT;
ALTER TABLE events ADD COLUMN later TEXT;
ALTER TABLE audit ADD COLUMN later TEXT;
ALTER TABLE idempotency ADD COLUMN later TEXT;
ALTER TABLE ledger_entries ADD COLUMN later TEXT;
ALTER TABLE usage_rollups ADD COLUMN later BIGINT NOT NULL DEFAULT 0;
ALTER TABLE retention_marks ADD COLUMN later TEXT;
ALTER TABLE ledger_checkpoints ADD COLUMN later TEXT;
CREATE INDEX later_accounts ON accounts (later);
`;
// SQLite's strict tables know no bigint.
const expandFor = ({ dialect }: Place): string => (dialect === 'sqlite' ? EXPAND.replaceAll('BIGINT', 'INTEGER') : EXPAND);

function describeMigrations(makePlace: () => Promise<Place>): void {
  let place: Place;
  let counter = 0;
  beforeEach(async () => {
    place = await makePlace();
  });

  /** Everything that this program does with a store, once. */
  const expectWorks = async (store: LedgerStore & RecordStore): Promise<void> => {
    counter += 1;
    const commands = makeCommands(counter * 1000);
    const tenantId = `mig-${counter}`;
    const execute = async (...batch: Parameters<LedgerStore['execute']>[1]): Promise<void> => {
      const { outcomes } = await store.execute(commands.id('batch'), batch, 0);
      expect(outcomes.filter((outcome) => !outcome.ok)).toEqual([]);
    };
    await execute(commands.createTenant(tenantId), commands.createKey(tenantId, `key_${counter}`, { maxTokens: 70_000n }));
    await execute(commands.allocate(moneyOf(tenantId), 9000n));
    const held = commands.hold({ tenantId, keyId: `key_${counter}`, idempotencyKey: 'once' });
    await execute(held);
    await execute(commands.settle(held, { promptTokens: 11, completionTokens: 22, microcents: 33n }));
    while ((await store.foldUsage(100)) > 0);
    await store.prune();
    const totals = await store.usageTotals({ tenantId, fromMs: null, intervalMs: 5000 });
    expect(totals.map(({ requests, promptTokens }) => [requests, promptTokens])).toEqual([[1, 11]]);
    expect((await store.reservation(held.reservationId))?.state).toBe('COMMITTED');
    expect((await store.keys({ tenantId, kinds: ['inference'] })).map(({ id }) => id)).toEqual([`key_${counter}`]);
    expect((await store.verify()).discrepancies).toEqual([]);
  };

  test.each(RELEASES)('a database that the release of schema %s left behind opens, holds, and goes on', async (release) => {
    await place.run(readFileSync(fixtureFile(release, `${place.dialect}.sql`), 'utf8'));
    const [before] = await place.rows('SELECT count(*) AS n FROM ledger_entries');
    const store = await place.open();
    const { discrepancies, entries } = await store.verify();
    expect(discrepancies).toEqual([]);
    expect(entries).toBe(Number(before?.['n']));
    expect((await store.records('tenant')).map(({ id }) => id)).toEqual(['acme', 'default']);
    expect((await store.keys({ tenantId: 'acme', kinds: ['inference'] })).map(({ name }) => name)).toEqual(['works']);
    const used = (await store.usageTotals({ tenantId: 'acme', fromMs: null, intervalMs: 5000 })).reduce(
      (sum, total) => sum + total.requests,
      0,
    );
    expect(used).toBe(7);
    expect(await store.unsettledCalls({ liveOwnerIds: [], limit: 10 })).toHaveLength(1);
    await expectWorks(store);
    await store.close();
    // And once more, with nothing left to migrate.
    const again = await place.open();
    expect((await again.verify()).discrepancies).toEqual([]);
    await again.close();
  });

  test('a newer schema that only adds keeps this program working, and says so', async () => {
    // Also where it serves at that very moment.
    const serving = await place.open();
    await expectWorks(serving);
    await place.migrateFurther('9999-later.sql', expandFor(place));
    await expectWorks(serving);
    await serving.close();
    expect(await place.rows('SELECT compatible_with FROM schema_version WHERE version = 9999')).toEqual([
      { compatible_with: expect.anything() as unknown },
    ]);
    const warnings: string[] = [];
    const store = await place.open(warnings);
    expect(warnings).toContain('the database has schema version 9999, which is newer than this program and compatible with it');
    await expectWorks(store);
    await store.close();
  });

  test('a newer schema that takes something away is refused with one sentence, and not touched', async () => {
    await (await place.open()).close();
    await place.migrateFurther('9999-later.sql', '-- contract: 9998\nDROP TABLE heartbeats;');
    await expect(place.open()).rejects.toThrow(
      /^The database has schema version 9999, but this program knows only up to version \d+: start the newer Castellan that migrated it, or restore a backup\.$/,
    );
    expect(await place.rows(`SELECT name FROM schema_version WHERE version = 9999`)).toEqual([{ name: '9999-later' }]);
  });

  test('a schema that takes away what this program no longer uses is taken', async () => {
    await (await place.open()).close();
    const newest = loadMigrations(place.dialect).at(-1)?.version ?? 0;
    await place.run('CREATE TABLE leftover (id TEXT)');
    await place.migrateFurther('9999-later.sql', `-- contract: ${String(newest).padStart(4, '0')}\nDROP TABLE leftover;`);
    const store = await place.open([]);
    await expectWorks(store);
    await store.close();
  });
}

describe('SQLite: migrations', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'castellan-migrate-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const withDb = <T>(work: (db: Database.Database) => T): Promise<T> => {
    const db = new Database(join(folder, DATABASE_FILE));
    try {
      return Promise.resolve(work(db));
    } finally {
      db.close();
    }
  };
  describeMigrations(() =>
    Promise.resolve({
      dialect: 'sqlite',
      open: (warnings = []) =>
        openSqliteStore({
          dataDir: folder,
          clock: { nowMs: Date.now },
          log: {
            debug: () => undefined,
            info: () => undefined,
            warn: (_fields, message) => void warnings.push(message),
            error: (_fields, message) => void warnings.push(message),
          },
        }),
      run: (sql) => withDb((db) => void db.exec(sql)),
      rows: (sql) => withDb((db) => db.prepare<[], Record<string, unknown>>(sql).all()),
      migrateFurther: (file, sql) =>
        withDb((db) => void migrateSqlite(db, [...loadMigrations('sqlite'), parseMigration(file, sql)], { hit: () => undefined })),
    }),
  );
});

describePostgres('PostgreSQL: migrations', () => {
  let cluster: PostgresCluster;
  let url: string;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    url = await cluster.createDatabase();
  });

  const withClient = async <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  };
  const rows = (sql: string): Promise<Record<string, unknown>[]> =>
    withClient(async (client) => (await client.query<Record<string, unknown>>(sql)).rows);

  describeMigrations(() =>
    Promise.resolve({
      dialect: 'postgres',
      open: (warnings = []) => openPostgresStore({ url, log: { warn: (message) => void warnings.push(message) } }),
      run: (sql) => withClient(async (client) => void (await client.query(sql))),
      rows,
      migrateFurther: (file, sql) =>
        withClient(async (client) => {
          await migratePostgres(client, { migrations: [...loadMigrations('postgres'), parseMigration(file, sql)] });
        }),
    }),
  );

  const ADD = [...loadMigrations('postgres'), parseMigration('9999-later.sql', 'ALTER TABLE accounts ADD COLUMN later text;')];

  test('a migration that has to wait for a lock lets those who serve pass between its attempts', async () => {
    await (await openPostgresStore({ url })).close();
    const holder = new pg.Client({ connectionString: url });
    await holder.connect();
    await holder.query('BEGIN; SELECT count(*) FROM accounts');
    const migrating = withClient((client) => migratePostgres(client, { migrations: ADD, lockMs: 100, pauseMs: 50 }));
    // Each read comes after the migration has begun to wait, and none of them waits for the holder.
    const waits = async (): Promise<number> =>
      Number((await rows(`SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'`))[0]?.['n']);
    while ((await waits()) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    for (let reads = 0; reads < 5; reads += 1) expect(await rows('SELECT count(*)::int AS n FROM accounts')).toEqual([{ n: 0 }]);
    expect(await rows('SELECT 1 AS one FROM schema_version WHERE version = 9999')).toEqual([]);
    await holder.query('COMMIT');
    await holder.end();
    expect(await migrating).toBe(null);
    expect(await rows('SELECT 1 AS one FROM schema_version WHERE version = 9999')).toEqual([{ one: 1 }]);
  });

  test('a migration that never gets its lock gives up with one sentence, and leaves nothing half done', async () => {
    await (await openPostgresStore({ url })).close();
    const holder = new pg.Client({ connectionString: url });
    await holder.connect();
    await holder.query('BEGIN; SELECT count(*) FROM accounts');
    const sql = 'CREATE TABLE later_things (id text);\nALTER TABLE accounts ADD COLUMN later text;';
    const migrations = [...loadMigrations('postgres'), parseMigration('9999-later.sql', sql)];
    await expect(withClient((client) => migratePostgres(client, { migrations, lockMs: 50, attempts: 2, pauseMs: 10 }))).rejects.toThrow(
      'The migration 9999-later did not get the locks that it needs in 2 attempts: end the long transactions on the database (see pg_stat_activity), and start again.',
    );
    await holder.end();
    expect(await rows(`SELECT to_regclass('later_things') AS made`)).toEqual([{ made: null }]);
  });

  test('an index whose build was broken off is built anew', async () => {
    await (await openPostgresStore({ url })).close();
    await withClient((client) => client.query(`DELETE FROM schema_version WHERE version = 9`));
    await withClient((client) => client.query(`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'events_delivered'::regclass`));
    await (await openPostgresStore({ url })).close();
    expect(await rows(`SELECT indisvalid FROM pg_index WHERE indexrelid = 'events_delivered'::regclass`)).toEqual([{ indisvalid: true }]);
  });
});

import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import type { Clock } from '../../src/ports/clock.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { describeStore } from './store-suite.ts';
import { makeTestClock, type RawRow, type TestStore } from './test-store.ts';

/**
 * Databases for the tests of one cluster. A test leaves its own to the next one, emptied: that takes a quarter of the time of a copy, and
 * hundreds of copies are gigabytes, which a slow disk takes minutes to write and to delete.
 */
class Databases {
  readonly #cluster: PostgresCluster;
  readonly #first: string;
  readonly #wipe: string;
  readonly #free: string[] = [];

  private constructor(cluster: PostgresCluster, first: string, wipe: string) {
    this.#cluster = cluster;
    this.#first = first;
    this.#wipe = wipe;
  }

  /** Makes the schema once; it is copied from then on. */
  static async make(cluster: PostgresCluster): Promise<Databases> {
    const first = await cluster.createDatabase();
    await (await openPostgresStore({ url: first, clock: makeTestClock() })).close();
    const tables = await cluster.sql(
      "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('schema_version', 'generation')",
      nameOf(first),
    );
    const sequences = await cluster.sql("SELECT sequencename AS name FROM pg_sequences WHERE schemaname = 'public'", nameOf(first));
    return new Databases(
      cluster,
      first,
      [
        // Without the triggers that refuse to take back what was booked.
        'SET session_replication_role = replica',
        ...tables.map(({ name }) => `DELETE FROM ${String(name)}`),
        'UPDATE generation SET value = 0',
        ...sequences.map(({ name }) => `ALTER SEQUENCE ${String(name)} RESTART`),
      ].join(';'),
    );
  }

  async take(): Promise<string> {
    return this.#free.pop() ?? this.#cluster.createDatabase(this.#first);
  }

  /** Takes back a database that nobody uses any more. One whose schema a test has changed is deleted. */
  async giveBack(url: string, isAltered: boolean): Promise<void> {
    if (isAltered) return this.#cluster.dropDatabase(url);
    await this.#cluster.sql(this.#wipe, nameOf(url));
    this.#free.push(url);
  }
}

const nameOf = (url: string): string => new URL(url).pathname.slice(1);

interface Opened {
  readonly databases: Databases;
  readonly url: string;
  readonly clock: Clock;
  readonly isAltered?: boolean;
}

async function openAt({ databases, url, clock, isAltered: wasAltered = false }: Opened): Promise<TestStore> {
  const store = await openPostgresStore({ url, clock, lanes: 2, readers: 1 });
  let isAltered = wasAltered;
  const raw = async (sql: string): Promise<RawRow[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query<RawRow>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  const unlock = async (tables: readonly string[]): Promise<void> => {
    isAltered = true;
    for (const table of tables) await raw(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
  };
  return {
    store,
    raw: async (sql) => {
      isAltered ||= /^\s*(?:ALTER|CREATE|DROP)\b|schema_version/i.test(sql);
      return raw(sql);
    },
    unlockJournal: () => unlock(['ledger_entries']),
    unlockStatements: () => unlock(['statements', 'statement_lines']),
    reopen: async (options) => {
      await store.close();
      return openAt({ databases, url, clock: options?.clock ?? clock, isAltered });
    },
    destroy: async () => {
      await store.close();
      await databases.giveBack(url, isAltered);
    },
  };
}

describePostgres('the store contract', () => {
  let cluster: PostgresCluster;
  let databases: Databases;
  beforeAll(async () => {
    // Nothing here dies, so nothing need be flushed.
    cluster = await startPostgresCluster({ fsync: false });
    databases = await Databases.make(cluster);
  });
  afterAll(() => cluster.stop());

  describeStore('PostgreSQL', async ({ clock }) => openAt({ databases, url: await databases.take(), clock }));
});

import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import type { Clock } from '../../src/ports/clock.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { describeStore } from './store-suite.ts';
import { makeTestClock, type RawRow, type TestStore } from './test-store.ts';

async function openAt(url: string, clock: Clock): Promise<TestStore> {
  const store = await openPostgresStore({ url, clock, lanes: 2, readers: 1 });
  const raw = async (sql: string): Promise<RawRow[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query<RawRow>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  return {
    store,
    raw,
    unlockJournal: async () => void (await raw('ALTER TABLE ledger_entries DISABLE TRIGGER USER')),
    unlockStatements: async () => {
      for (const table of ['statements', 'statement_lines']) await raw(`ALTER TABLE ${table} DISABLE TRIGGER USER`);
    },
    reopen: async (options) => {
      await store.close();
      return openAt(url, options?.clock ?? clock);
    },
    // The database goes with the cluster.
    destroy: () => store.close(),
  };
}

describePostgres('the store contract', () => {
  let cluster: PostgresCluster;
  let empty: string;
  beforeAll(async () => {
    // Nothing here dies, so nothing need be flushed.
    cluster = await startPostgresCluster({ fsync: false });
    empty = await cluster.createDatabase();
    // Its schema is made once, and copied for each test.
    await (await openPostgresStore({ url: empty, clock: makeTestClock() })).close();
  });
  afterAll(() => cluster.stop());

  describeStore('PostgreSQL', async ({ clock }) => openAt(await cluster.createDatabase(empty), clock));
});

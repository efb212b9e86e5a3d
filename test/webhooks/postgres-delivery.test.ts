import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import type { Clock } from '../../src/ports/clock.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import type { RawRow, TestStore } from '../contract/test-store.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { describeDelivery } from './delivery-suite.ts';
import { describeReplays } from './replay-suite.ts';

interface AtUrl extends TestStore {
  readonly url: string;
}

async function openAt(url: string, clock: Clock): Promise<AtUrl> {
  const store = await openPostgresStore({ url, clock, lanes: 1, readers: 2 });
  return {
    url,
    store,
    raw: async (sql) => {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      try {
        return (await client.query<RawRow>(sql)).rows;
      } finally {
        await client.end();
      }
    },
    unlockJournal: () => Promise.reject(new Error('no test of deliveries damages the journal')),
    unlockStatements: () => Promise.reject(new Error('no test of deliveries changes a bill')),
    reopen: async (options) => {
      await store.close();
      return openAt(url, options?.clock ?? clock);
    },
    // The database goes with the cluster.
    destroy: () => store.close(),
  };
}

describePostgres('deliveries', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());

  const make = async ({ clock }: { clock: Clock }): Promise<AtUrl> => openAt(await cluster.createDatabase(), clock);
  describeDelivery('PostgreSQL', make, (at, clock) => openAt((at as AtUrl).url, clock));
  describeReplays('PostgreSQL', make);
});

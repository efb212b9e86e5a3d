import { afterAll, beforeAll, describe } from 'vitest';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import type { TestStore } from '../support/store-reader.ts';
import { testRaces } from './race-suite.ts';

describePostgres('races on PostgreSQL', () => {
  let cluster: PostgresCluster;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });

  afterAll(() => cluster.stop());

  /** The server's own count, for all of its databases; it publishes a session's counts when that session is idle. */
  const deadlocks = async (): Promise<number> => {
    const [row] = await cluster.sql('SELECT sum(deadlocks)::int AS deadlocks FROM pg_stat_database');
    return Number(row?.['deadlocks'] ?? -1);
  };
  const makeStore = async (): Promise<TestStore> => ({ kind: 'postgres', url: await cluster.createDatabase() });

  describe.each([1, 2])('from %i process(es)', (processes) => {
    testRaces({ makeStore, processes, deadlocks });
  });
});

import { afterAll, beforeAll } from 'vitest';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { testCyclesRaces } from './cycles-race-suite.ts';

describePostgres('reserves that race, on PostgreSQL from 4 processes', () => {
  let cluster: PostgresCluster;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });

  afterAll(() => cluster.stop());

  testCyclesRaces({ makeStore: async () => ({ kind: 'postgres', url: await cluster.createDatabase() }), processes: 4 });
});

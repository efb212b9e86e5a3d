import { afterAll, beforeAll } from 'vitest';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { testReports } from './report-suite.ts';

describePostgres('reports on PostgreSQL, to two nodes', () => {
  let cluster: PostgresCluster;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });

  afterAll(() => cluster.stop());

  testReports({ makeStore: async () => ({ kind: 'postgres', url: await cluster.createDatabase() }), processes: 2 });
});

import { afterAll, beforeAll } from 'vitest';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { testCrashes } from './crash-suite.ts';

describePostgres('killed on PostgreSQL', () => {
  let cluster: PostgresCluster;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });

  afterAll(() => cluster.stop());

  testCrashes(async () => ({ kind: 'postgres', url: await cluster.createDatabase() }));
});

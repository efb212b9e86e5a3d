import { afterAll, beforeAll } from 'vitest';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { testFaults } from './fault-suite.ts';

describePostgres('every fault of upstreams and callers on PostgreSQL', () => {
  let cluster: PostgresCluster;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });

  afterAll(() => cluster.stop());

  testFaults(async () => ({ kind: 'postgres', url: await cluster.createDatabase() }));
});

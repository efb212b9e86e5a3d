import { afterAll, beforeAll, describe } from 'vitest';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { testEndpoints } from './endpoints-suite.ts';

describe('every endpoint of the openai client on SQLite', () => {
  testEndpoints(() => Promise.resolve({ kind: 'sqlite' }));
});

describePostgres('every endpoint of the openai client on PostgreSQL', () => {
  let cluster: PostgresCluster;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });

  afterAll(() => cluster.stop());

  testEndpoints(async () => ({ kind: 'postgres', url: await cluster.createDatabase() }));
});

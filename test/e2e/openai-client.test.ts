import { afterAll, beforeAll, describe } from 'vitest';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { testOpenAiClient } from './openai-suite.ts';

describe('the openai client on SQLite', () => {
  testOpenAiClient(() => Promise.resolve({ kind: 'sqlite' }));
});

describePostgres('the openai client on PostgreSQL', () => {
  let cluster: PostgresCluster;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });

  afterAll(() => cluster.stop());

  testOpenAiClient(async () => ({ kind: 'postgres', url: await cluster.createDatabase() }));
});

import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { describePostgres, postgresBinaries, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { testCanaries } from './canary-suite.ts';

describe('credentials on SQLite', () => {
  testCanaries({
    makeStore: () => Promise.resolve({ kind: 'sqlite' }),
    dump: ({ dataDir }) => {
      const files = readdirSync(dataDir).filter((file) => file.startsWith('castellan.'));
      return Promise.resolve(Buffer.concat(files.map((file) => readFileSync(join(dataDir, file)))));
    },
  });
});

describePostgres('credentials on PostgreSQL', () => {
  let cluster: PostgresCluster;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });

  afterAll(() => cluster.stop());

  testCanaries({
    makeStore: async () => ({ kind: 'postgres', url: await cluster.createDatabase() }),
    dump: ({ store }) => {
      const url = store.kind === 'postgres' ? store.url : '';
      return Promise.resolve(execFileSync(join(postgresBinaries() ?? '', 'pg_dump'), ['--dbname', url], { maxBuffer: 1 << 30 }));
    },
  });
});

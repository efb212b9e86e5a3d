import { afterAll, beforeAll } from 'vitest';
import pg from 'pg';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { testBackups } from './backup-suite.ts';

const FILL = `
  INSERT INTO idempotency (tenant_id, operation, target, key, hash, answer, expires_at_ms)
  SELECT 'default', 'fill', '', i::text, '', to_json((SELECT string_agg(md5(i::text || j::text), '') FROM generate_series(1, 60) AS j)), 9000000000000000
  FROM generate_series(1, 20000) AS i`;

describePostgres('backups of a PostgreSQL database', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());

  const query = async (url: string, sql: string): Promise<Record<string, unknown>[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  };
  const urlOf = (store: { kind: string; url?: string }): string => store.url ?? '';

  testBackups(async () => ({
    store: { kind: 'postgres', url: await cluster.createDatabase() },
    raw: ({ store }, sql) => query(urlOf(store), sql),
    another: async () => ({ kind: 'postgres', url: await cluster.createDatabase() }),
    fill: FILL,
    isRestoring: async ({ store }) =>
      (
        await query(
          urlOf(store),
          `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'castellan restore' AND query LIKE 'INSERT%'`,
        )
      ).length > 0,
  }));
});

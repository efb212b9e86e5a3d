import type pg from 'pg';
import type { Failpoints } from '../../ports/failpoints.ts';
import { loadMigrations, pendingMigrations, type Migration } from '../_shared/migrations.ts';

/** The advisory lock under which nodes that start at the same time migrate one after another. */
export const MIGRATION_LOCK = 0x7e4b;

async function applyStep(client: pg.Client, { version, name, sql }: Migration, failpoints: Failpoints | undefined): Promise<void> {
  await client.query(sql);
  await client.query('INSERT INTO schema_version (version, name, applied_at) VALUES ($1, $2, now())', [version, name]);
  failpoints?.hit('migrate.step');
}

/**
 * Brings the database's schema up to the newest that this program knows, one transaction for each step, under an advisory lock.
 * Throws `StoreRefusal` where a newer program has migrated it already.
 */
export async function migrate(client: pg.Client, failpoints: Failpoints | undefined): Promise<void> {
  // The lock belongs to the session: it goes with the connection even if this process dies half-way.
  await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
  try {
    await client.query(
      'CREATE TABLE IF NOT EXISTS schema_version (version bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL)',
    );
    const { rows } = await client.query<{ version: bigint | null }>('SELECT max(version) AS version FROM schema_version');
    for (const step of pendingMigrations(loadMigrations('postgres'), Number(rows[0]?.version ?? 0))) {
      await client.query('BEGIN');
      try {
        await applyStep(client, step, failpoints);
      } catch (error) {
        await client.query('ROLLBACK').catch(() => undefined);
        throw error;
      }
      await client.query('COMMIT');
    }
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined);
  }
}

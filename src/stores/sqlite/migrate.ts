import type { Database } from 'better-sqlite3';
import type { Failpoints } from '../../ports/failpoints.ts';
import { planMigrations, type AppliedMigration, type Migration } from '../_shared/migrations.ts';

/**
 * Brings a database to the newest schema of `migrations`, a transaction for each step, and returns the newest step it has taken that is
 * not among them, or null. Refuses a database that a newer program has migrated to what this one cannot run on.
 */
export function migrate(db: Database, migrations: readonly Migration[], failpoints: Failpoints): number | null {
  db.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL, compatible_with INTEGER) STRICT');
  addMarker(db);
  const applied = db
    .prepare<[], AppliedMigration>('SELECT version, compatible_with AS compatibleWith FROM schema_version ORDER BY version')
    .all();
  const { pending, newerVersion } = planMigrations(migrations, applied);
  const record = db.prepare('INSERT INTO schema_version (version, name, compatible_with) VALUES (?, ?, ?)');
  for (const migration of pending) {
    db.transaction(() => {
      db.exec(migration.sql);
      record.run(migration.version, migration.name, migration.compatibleWith);
      failpoints.hit('migrate.step');
    }).immediate();
  }
  return newerVersion;
}

/** The first schema's table of steps had no marker. */
function addMarker(db: Database): void {
  const columns = db.prepare<[], string>(`SELECT name FROM pragma_table_info('schema_version')`).pluck().all();
  if (!columns.includes('compatible_with')) db.exec('ALTER TABLE schema_version ADD COLUMN compatible_with INTEGER');
}

import type { Database } from 'better-sqlite3';
import type { Failpoints } from '../../ports/failpoints.ts';
import { pendingMigrations, type Migration } from '../_shared/migrations.ts';

/** Brings a database to the newest schema, a transaction for each step. Refuses one that a newer program has migrated. */
export function migrate(db: Database, migrations: readonly Migration[], failpoints: Failpoints): void {
  db.exec('CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT');
  const version = db.prepare<[], number>('SELECT coalesce(max(version), 0) FROM schema_version').pluck().get() ?? 0;
  const record = db.prepare('INSERT INTO schema_version (version, name) VALUES (?, ?)');
  for (const migration of pendingMigrations(migrations, version)) {
    db.transaction(() => {
      db.exec(migration.sql);
      record.run(migration.version, migration.name);
      failpoints.hit('migrate.step');
    }).immediate();
  }
}

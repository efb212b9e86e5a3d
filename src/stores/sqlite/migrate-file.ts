import { loadMigrations } from '../_shared/migrations.ts';
import { openWriterConnection } from './connection.ts';
import { migrate } from './migrate.ts';
import { decodeError, encodeError } from './worker-errors.ts';

/**
 * Brings the database `file`, which nobody else has open, to the newest schema, and closes it with nothing left in its write-ahead log.
 * Throws a `StoreRefusal` where a newer program has migrated it, and a `Fault` where it is no database or the disk fails.
 */
export function migrateFile(file: string): void {
  try {
    const db = openWriterConnection(file);
    try {
      migrate(db, loadMigrations('sqlite'), { hit: () => undefined });
    } finally {
      db.close();
    }
  } catch (error) {
    throw decodeError(encodeError(error));
  }
}

import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { StoreRefusal } from '../_shared/migrations.ts';

/** A lock on a database file that lasts until it is released or the process ends, however it ends. */
export interface DataLock {
  release(): void;
}

/**
 * Takes the lock that keeps a second process from a database: an exclusive transaction on a file of its own. The system drops it with
 * the process, which a file with a process id in it cannot promise. Refuses where another holds it.
 */
export function takeDataLock(lockFile: string): DataLock {
  const db = new Database(lockFile, { timeout: 0 });
  try {
    // Kept in memory, so that a full disk cannot keep the lock from being taken.
    db.pragma('journal_mode = MEMORY');
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) throw new StoreRefusal(heldMessage(lockFile));
    throw error;
  }
  return { release: () => db.close() };
}

const heldMessage = (lockFile: string): string =>
  `Another Castellan is running on the data folder ${dirname(lockFile)}: stop it first, or give this one a folder of its own (CASTELLAN_DATA_DIR).`;

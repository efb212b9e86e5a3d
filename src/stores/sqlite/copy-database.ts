import type { Database } from 'better-sqlite3';
import { openReaderConnection } from './connection.ts';
import { decodeError, encodeError } from './worker-errors.ts';

/** Pages that are copied at once; between two portions other work of this thread goes on. */
const PAGES_AT_ONCE = 1000;

/**
 * Copies the database `file`, as it is at this moment, to the new file `target`, while others write to it: the copy is of one snapshot, and
 * nobody waits for it. The write-ahead log grows meanwhile. `onProgress` is told which share, 0 to 1, is done.
 *
 * Throws a `Fault` where the disk fails.
 */
export async function copyDatabase(options: { file: string; target: string; onProgress: (share: number) => void }): Promise<void> {
  let db: Database | undefined;
  try {
    db = openReaderConnection(options.file);
    // While a transaction of this connection reads, the copy sees what it sees; else it would begin anew with every write of another.
    db.exec('BEGIN');
    db.prepare('SELECT count(*) FROM sqlite_schema').get();
    await db.backup(options.target, {
      progress: ({ totalPages, remainingPages }) => {
        options.onProgress(totalPages === 0 ? 0 : 1 - remainingPages / totalPages);
        return PAGES_AT_ONCE;
      },
    });
  } catch (error) {
    throw decodeError(encodeError(error));
  } finally {
    db?.close();
  }
}

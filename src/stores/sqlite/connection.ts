import Database from 'better-sqlite3';

/** The names of the files in a data folder. */
export const DATABASE_FILE = 'castellan.db';
export const LOCK_FILE = 'castellan.lock';

/** The write-ahead log of a database file. It exists while a connection is open. */
export const logFile = (file: string): string => `${file}-wal`;

/** Pages (4 KiB) that the write-ahead log may hold before they are copied into the database. A late checkpoint copies a hot page once. */
const CHECKPOINT_PAGES = 8192;
const WRITER_CACHE_KIB = 8_192;
const READER_CACHE_KIB = 8_192;

/** After a checkpoint the log file is cut to this, so that a burst does not keep the disk. */
const LOG_LIMIT_BYTES = 64 * 1024 * 1024;

/**
 * The one connection that writes. A commit is written to the log when it returns, where the end of the process cannot undo it, and not yet
 * flushed: `synchronous = FULL` would flush inside of COMMIT, and keep the thread from the next batch meanwhile. Whoever promises that a
 * batch is durable flushes the log first (docs/adr/0009-the-flush-runs-beside-the-next-batch.md).
 */
export function openWriterConnection(file: string): Database.Database {
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  // Checkpoints still flush the log before they copy it, and the database before the log is used anew.
  db.pragma('synchronous = NORMAL');
  db.pragma(`wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  db.pragma(`journal_size_limit = ${LOG_LIMIT_BYTES}`);
  db.pragma(`cache_size = -${WRITER_CACHE_KIB}`);
  db.pragma('temp_store = MEMORY');
  // No table declares a foreign key: rows name others by ids that outlive them, and a check costs a look-up for each row.
  db.pragma('foreign_keys = OFF');
  // A write that raced a reader's recovery waits instead of failing.
  db.pragma('busy_timeout = 5000');
  return db;
}

/** A connection that can only read, beside the writer. It sees committed rows and never waits for a batch. */
export function openReaderConnection(file: string): Database.Database {
  const db = new Database(file, { readonly: true, fileMustExist: true });
  db.pragma(`cache_size = -${READER_CACHE_KIB}`);
  db.pragma('temp_store = MEMORY');
  db.pragma('busy_timeout = 5000');
  return db;
}

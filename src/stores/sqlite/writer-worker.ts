import { closeSync, fdatasyncSync, openSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import type { Database } from 'better-sqlite3';
import type { Failpoints } from '../../ports/failpoints.ts';
import { loadMigrations, newerSchemaNotice } from '../_shared/migrations.ts';
import { logFile, openWriterConnection } from './connection.ts';
import { takeDataLock, type DataLock } from './data-lock.ts';
import type { WriterData, WriterRequest } from './messages.ts';
import { migrate } from './migrate.ts';
import { storeUnavailable } from './worker-errors.ts';
import { serve } from './worker-server.ts';
import { makeWriter } from './writer.ts';

async function loadFailpoints(module: string | null): Promise<Failpoints> {
  if (module === null) return { hit: () => undefined };
  const loaded = (await import(module)) as { failpoints: Failpoints };
  return loaded.failpoints;
}

interface OpenDatabase {
  readonly db: Database;
  readonly lock: DataLock;
  /** The newest step of the schema that this program does not know, or null. */
  readonly newerVersion: number | null;
}

/** Locks the data folder, opens the database and brings its schema up to date; keeps nothing open where that fails. */
function open({ file, lockFile }: WriterData, failpoints: Failpoints): OpenDatabase {
  const lock = takeDataLock(lockFile);
  let db: Database | undefined;
  try {
    db = openWriterConnection(file);
    const newerVersion = migrate(db, loadMigrations('sqlite'), failpoints);
    // The lock says that no other run lives; the last one would count as alive until its time is over.
    db.exec('DELETE FROM heartbeats');
    return { db, lock, newerVersion };
  } catch (error) {
    db?.close();
    lock.release();
    throw error;
  }
}

/**
 * Brings the log to the disk. Where that fails nobody knows what the system has dropped, and a second try that succeeds would tell nothing:
 * the thread ends, and with it the store, which recovers from what is on the disk when it is opened anew.
 */
function flushOrEnd(log: number): void {
  try {
    fdatasyncSync(log);
  } catch (error) {
    setImmediate(() => process.exit(1));
    throw storeUnavailable(`the log could not be flushed: ${String(error)}`, error);
  }
}

// The thread that owns the one connection that writes.
await serve<WriterRequest>(async () => {
  const data = workerData as WriterData;
  const failpoints = await loadFailpoints(data.failpointsModule);
  const { db, lock, newerVersion } = open(data, failpoints);
  const log = openSync(logFile(data.file), 'r+');
  const writer = makeWriter(db, { failpoints, flush: () => flushOrEnd(log) });
  return {
    ...(newerVersion === null ? {} : { notice: newerSchemaNotice(newerVersion) }),
    answer: writer.answer,
    answered: (request) => {
      if (request.type === 'execute') failpoints.hit('batch.answered');
    },
    close: () => {
      closeSync(log);
      db.close();
      lock.release();
    },
  };
});

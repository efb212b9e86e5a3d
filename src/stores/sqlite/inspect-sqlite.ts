import type { Database } from 'better-sqlite3';
import type { RecordStore } from '../../ports/record-store.ts';
import { schemaStateOf, type StoreInspection } from '../_shared/inspection.ts';
import { loadMigrations } from '../_shared/migrations.ts';
import { openReaderConnection } from './connection.ts';
import { makeRecordQueries } from './queries/record-queries.ts';
import { makeVerifier } from './verify.ts';
import { decodeError, encodeError } from './worker-errors.ts';

/** The steps of the schema that a database has taken. */
function appliedIn(db: Database): number[] {
  const isKept = db.prepare<[], number>(`SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'`).pluck().get() === 1;
  return isKept ? db.prepare<[], number>('SELECT version FROM schema_version').pluck().all() : [];
}

/**
 * Looks at the database `file` on this thread, which is a command's own. Throws a `Fault` where it cannot be read, here and later.
 */
export function inspectSqlite(file: string): StoreInspection & { readonly db: Database } {
  const outside = <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw decodeError(encodeError(error));
    }
  };
  const db = outside(() => openReaderConnection(file));
  // Prepared at their first use: in a database of another version the tables may be others.
  let queries: ReturnType<typeof makeRecordQueries> | undefined;
  const ask = <T>(use: (records: ReturnType<typeof makeRecordQueries>) => T): Promise<T> =>
    new Promise((resolve) => resolve(outside(() => use((queries ??= makeRecordQueries(db))))));
  return {
    db,
    schema: schemaStateOf(
      outside(() => appliedIn(db)),
      loadMigrations('sqlite'),
    ),
    records: {
      record: ((kind, id) => ask((records) => records.record(kind, id))) as RecordStore['record'],
      records: ((kind, tenantId) => ask((records) => records.records(kind, tenantId))) as RecordStore['records'],
      keys: (query) => ask((records) => records.keys(query)),
    },
    lastBatchMs: async () => {
      const lastMs = outside(() => db.prepare<[], number>('SELECT last_ms FROM store_state').pluck().get());
      return lastMs === undefined || lastMs === 0 ? null : lastMs;
    },
    verify: () => new Promise((resolve) => resolve(outside(() => makeVerifier(db)()))),
    close: async () => void db.close(),
  };
}

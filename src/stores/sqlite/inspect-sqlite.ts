import type { Database } from 'better-sqlite3';
import type { RecordStore } from '../../ports/record-store.ts';
import { schemaStateOf, type StoreInspection } from '../_shared/inspection.ts';
import { loadMigrations, type AppliedMigration } from '../_shared/migrations.ts';
import { openReaderConnection } from './connection.ts';
import { makeRecordQueries } from './queries/record-queries.ts';
import { LAST_BATCH_MS } from './store-time.ts';
import { makeVerifier } from './verify.ts';
import { decodeError, encodeError } from './worker-errors.ts';

/** The steps of the schema that a database has taken. The release before this one did not keep who may run on them. */
function appliedIn(db: Database): AppliedMigration[] {
  const columns = db.prepare<[], string>(`SELECT name FROM pragma_table_info('schema_version')`).pluck().all();
  if (columns.length === 0) return [];
  const compatibleWith = columns.includes('compatible_with') ? 'compatible_with' : 'NULL';
  return db.prepare<[], AppliedMigration>(`SELECT version, ${compatibleWith} AS compatibleWith FROM schema_version`).all();
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
      const lastMs = outside(() => db.prepare<[], number>(`SELECT ${LAST_BATCH_MS}`).pluck().get());
      return lastMs === undefined || lastMs === 0 ? null : lastMs;
    },
    verify: (witness) => new Promise((resolve) => resolve(outside(() => makeVerifier(db)(witness)))),
    close: async () => void db.close(),
  };
}

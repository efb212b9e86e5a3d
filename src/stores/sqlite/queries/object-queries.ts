import type { Database } from 'better-sqlite3';
import { objectFromRow, type ObjectRow } from '../../_shared/upstream-object-row.ts';
import type { Queries } from '../messages.ts';

/** The statement that finds objects which upstreams keep. */
export const OBJECT_SQL = {
  /** By primary key for each id. */
  upstreamObjects: 'SELECT * FROM upstream_objects WHERE tenant_id = ? AND id IN (SELECT value FROM json_each(?))',
} as const;

/** Queries of objects that upstreams keep, prepared on a reading connection. */
export function makeObjectQueries(db: Database): Pick<Queries, 'upstreamObjects'> {
  const objects = db.prepare<[string, string], ObjectRow>(OBJECT_SQL.upstreamObjects);
  return { upstreamObjects: ({ tenantId, ids }) => objects.all(tenantId, JSON.stringify(ids)).map(objectFromRow) };
}

import { UPSTREAM_OBJECTS_KEEP_MS } from '../../core/calls/upstream-object.ts';
import { ALL_TIME_LEVEL_MS, ROLLUP_LEVELS, USAGE_EVENTS_KEEP_MS } from '../../core/usage/rollups.ts';
import type { Clock } from '../../ports/clock.ts';
import type { Reader } from './reader.ts';
import { SERVER_NOW_MS } from './statement.ts';

/** How long a batch's id is kept: many times what a lost COMMIT takes to be resolved. */
const BATCHES_KEEP_MS = 60 * 60 * 1000;

/** How long a run of the process that is seen no more is remembered. */
const HEARTBEATS_KEEP_MS = 24 * 60 * 60 * 1000;

/** Rows of one statement, so that none holds its locks for long or waits for the disk for long. */
const CHUNK_ROWS = 10_000;

// What one node forgets is forgotten for all, so it does not go by that node's clock.
const NOW = { name: 'prune_now', text: `SELECT ${SERVER_NOW_MS} AS now_ms` };

/** What may go: rows of a table whose `column` is below `beforeMs`. */
interface Overdue {
  readonly table: string;
  readonly condition: string;
  readonly beforeMs: number;
}

/**
 * Deletes what is no longer to be kept by the server's time, which `clock` replaces, a chunk at a time; returns the number of rows.
 * Rollups by usage_rollups_age, the others by the block ranges of their age.
 */
export async function prune(reader: Reader, clock: Clock | undefined): Promise<number> {
  const nowMs = clock?.nowMs() ?? Number((await reader.rows<{ now_ms: bigint }>(NOW))[0]?.now_ms);
  const rollups = ROLLUP_LEVELS.flatMap(({ levelMs, keepMs }): Overdue[] =>
    keepMs === null || levelMs === ALL_TIME_LEVEL_MS
      ? []
      : // A bucket is kept until its last moment is `keepMs` old.
        [{ table: 'usage_rollups', condition: `level_ms = ${levelMs} AND bucket_ms < $1::bigint`, beforeMs: nowMs - keepMs - levelMs }],
  );
  const overdue: Overdue[] = [
    ...rollups,
    { table: 'usage_events', condition: 'at_ms < $1::bigint', beforeMs: nowMs - USAGE_EVENTS_KEEP_MS },
    { table: 'idempotency', condition: 'expires_at_ms < $1::bigint', beforeMs: nowMs },
    { table: 'upstream_objects', condition: 'at_ms < $1::bigint', beforeMs: nowMs - UPSTREAM_OBJECTS_KEEP_MS },
    { table: 'batches', condition: 'at_ms < $1::bigint', beforeMs: nowMs - BATCHES_KEEP_MS },
    { table: 'heartbeats', condition: 'seen_at_ms < $1::bigint', beforeMs: nowMs - HEARTBEATS_KEEP_MS },
  ];
  let total = 0;
  for (const { table, condition, beforeMs } of overdue) {
    for (let deleted = CHUNK_ROWS; deleted === CHUNK_ROWS; total += deleted) {
      // Rows that someone else is about to change are left for the next time.
      const text = `
        WITH gone AS (
          DELETE FROM ${table} WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM ${table} WHERE ${condition} LIMIT ${CHUNK_ROWS} FOR UPDATE SKIP LOCKED)) RETURNING 1
        ) SELECT count(*) AS deleted FROM gone`;
      const [row] = await reader.rows<{ deleted: bigint }>({ name: `prune ${table} ${condition}`.slice(0, 60), text }, [beforeMs]);
      deleted = Number(row?.deleted);
    }
  }
  return total;
}

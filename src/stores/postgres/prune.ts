import { UPSTREAM_OBJECTS_KEEP_MS } from '../../core/calls/upstream-object.ts';
import { sampleCutoffs } from '../../core/containers/container-samples.ts';
import { cutoffsAt, type Retention } from '../../core/retention/retention.ts';
import { USAGE_REPORTS_KEEP_MS } from '../../core/usage/usage-report.ts';
import type { Clock } from '../../ports/clock.ts';
import { foldLedger } from './fold-ledger.ts';
import { pruneAudit } from './prune-audit.ts';
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

/** Verification must know of which days events may be missing: they go in no order. */
const MARK_USAGE_EVENTS = {
  name: 'mark_usage_events',
  text: `
    INSERT INTO retention_marks AS m (kind, before_ms, step, cursor) VALUES ('usage_events', $1::bigint, 'done', '')
    ON CONFLICT (kind) DO UPDATE SET before_ms = greatest(m.before_ms, excluded.before_ms)`,
};

function overdueAt(retention: Retention, nowMs: number): Overdue[] {
  const cutoffs = cutoffsAt(retention, nowMs);
  return [
    // Index: usage_rollups_age.
    ...cutoffs.rollups.map(({ levelMs, beforeMs }): Overdue => ({
      table: 'usage_rollups',
      condition: `level_ms = ${levelMs} AND bucket_ms < $1::bigint`,
      beforeMs,
    })),
    // Index: container_samples_by_age.
    ...sampleCutoffs(nowMs).map(({ levelMs, beforeMs }): Overdue => ({
      table: 'container_samples',
      condition: `level_ms = ${levelMs} AND bucket_ms < $1::bigint`,
      beforeMs,
    })),
    // By the block ranges of their age.
    { table: 'usage_events', condition: 'at_ms < $1::bigint', beforeMs: cutoffs.usageEventsBeforeMs },
    { table: 'usage_reports', condition: 'received_at_ms < $1::bigint', beforeMs: nowMs - USAGE_REPORTS_KEEP_MS },
    { table: 'idempotency', condition: 'expires_at_ms < $1::bigint', beforeMs: cutoffs.idempotencyBeforeMs },
    { table: 'upstream_objects', condition: 'at_ms < $1::bigint', beforeMs: nowMs - UPSTREAM_OBJECTS_KEEP_MS },
    { table: 'batches', condition: 'at_ms < $1::bigint', beforeMs: nowMs - BATCHES_KEEP_MS },
    { table: 'heartbeats', condition: 'seen_at_ms < $1::bigint', beforeMs: nowMs - HEARTBEATS_KEEP_MS },
    // Index: events_age.
    { table: 'events', condition: 'at_ms < $1::bigint', beforeMs: cutoffs.eventsBeforeMs },
    // Index: deliveries_ended.
    {
      table: 'deliveries',
      condition: 'completed_at_ms IS NOT NULL AND completed_at_ms < $1::bigint',
      beforeMs: cutoffs.deliveriesBeforeMs,
    },
  ];
}

/** Deletes a chunk of what may go. Rows that someone else is about to change are left for the next time. */
const deleteChunk = ({ table, condition }: Overdue): string => `
  WITH gone AS (
    DELETE FROM ${table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM ${table} WHERE ${condition} LIMIT ${CHUNK_ROWS} FOR UPDATE SKIP LOCKED)) RETURNING 1
  )
  SELECT count(*) AS deleted FROM gone`;

/** How to prune: `clock` replaces the server's time, and `isStopping` tells between two statements that the rest is to be left. */
export interface PruneOptions {
  readonly retention: Retention;
  readonly clock: Clock | undefined;
  readonly isStopping: () => boolean;
  /** Signs where the audit trail is cut; null: nobody does. */
  readonly trailSecret: string | null;
}

/** Deletes what is no longer to be kept by the server's time, a chunk at a time; returns the number of rows. */
export async function prune(reader: Reader, options: PruneOptions): Promise<number> {
  const { retention, clock, isStopping, trailSecret } = options;
  const nowMs = clock?.nowMs() ?? Number((await reader.rows<{ now_ms: bigint }>(NOW))[0]?.now_ms);
  await reader.rows(MARK_USAGE_EVENTS, [cutoffsAt(retention, nowMs).usageEventsBeforeMs]);
  let total = 0;
  for (const overdue of overdueAt(retention, nowMs)) {
    const name = `prune ${overdue.table} ${overdue.condition}`.slice(0, 60);
    for (let deleted = CHUNK_ROWS; deleted === CHUNK_ROWS && !isStopping(); total += deleted) {
      const [row] = await reader.rows<{ deleted: bigint }>({ name, text: deleteChunk(overdue) }, [overdue.beforeMs]);
      deleted = Number(row?.deleted);
    }
  }
  total += await pruneAudit(reader, { beforeMs: cutoffsAt(retention, nowMs).auditBeforeMs, isStopping, secret: trailSecret });
  return total + (await foldLedger(reader, cutoffsAt(retention, nowMs).ledgerBeforeMs, isStopping));
}

import type { Database } from 'better-sqlite3';
import { UPSTREAM_OBJECTS_KEEP_MS } from '../../core/calls/upstream-object.ts';
import { sampleCutoffs } from '../../core/containers/container-samples.ts';
import { cutoffsAt, type Retention } from '../../core/retention/retention.ts';
import { USAGE_REPORTS_KEEP_MS } from '../../core/usage/usage-report.ts';
import { checkpointAfter, cutsOf, type Checkpoint, type GoneRow } from '../_shared/audit-cut.ts';
import { makeLedgerFolder } from './fold-ledger.ts';

/** What one step of pruning did. A step removes about `limit` rows at most, so that no batch waits long behind it. */
export interface PruneStep {
  readonly removed: number;
  readonly isDone: boolean;
}

/** Removes at most `limit` rows of each kind that are past their time. Runs inside a transaction that it commits. */
export type Pruner = (
  nowMs: number,
  options: { readonly retention: Retention; readonly limit: number; readonly trailSecret: string | null },
  commit: () => void,
) => PruneStep;

/** What may go of the oldest `limit` rows. */
interface Oldest {
  readonly beforeMs: number;
  readonly limit: number;
}

/** Every tenant that has rollups, found by skipping from one to the next in the primary key. */
const TENANTS_WITH_USAGE = `
  WITH RECURSIVE tenant (id) AS (
    SELECT min(tenant_id) FROM usage_rollups
    UNION ALL
    SELECT (SELECT min(tenant_id) FROM usage_rollups WHERE tenant_id > tenant.id) FROM tenant WHERE tenant.id IS NOT NULL
  )
  SELECT id FROM tenant WHERE id IS NOT NULL`;

/**
 * A line of the journal is read, looked up, summed and deleted, with its index pages spread over the tables: it takes several times as long
 * as another row.
 */
const LEDGER_SHARE = 4;

interface HeadRow {
  readonly prunedNo: number | null;
  readonly prunedHash: string | null;
  readonly prunedMac: string | null;
}

/**
 * Prepares the forgetting of the oldest rows of the trail: never one after a row that stays, so that what is left has no gap. What a chain
 * begins with from then on is kept with its head, signed under `secret`.
 */
function makeAuditPruner(db: Database): (oldest: Oldest, secret: string | null) => number {
  const due = db.prepare<[Oldest], GoneRow>(
    `DELETE FROM audit WHERE seq IN (
       WITH oldest AS (SELECT seq, at_ms FROM audit ORDER BY seq LIMIT @limit)
       SELECT seq FROM oldest WHERE seq < coalesce((SELECT min(seq) FROM oldest WHERE at_ms >= @beforeMs), (SELECT max(seq) + 1 FROM oldest)))
     RETURNING tenant_id AS tenantId, no, previous, hash`,
  );
  const head = db.prepare<[string], HeadRow>(
    'SELECT pruned_no AS prunedNo, pruned_hash AS prunedHash, pruned_mac AS prunedMac FROM audit_heads WHERE tenant_id = ?',
  );
  // By audit_chain.
  const firstPrevious = db.prepare<[string], string>('SELECT previous FROM audit WHERE tenant_id = ? AND no = 1').pluck();
  const keep = db.prepare<[Checkpoint & { tenantId: string }]>(
    'UPDATE audit_heads SET pruned_no = @prunedNo, pruned_hash = @prunedHash, pruned_mac = @prunedMac WHERE tenant_id = @tenantId',
  );
  return (oldest, secret) => {
    const gone = due.all(oldest);
    for (const [tenantId, cut] of cutsOf(gone)) {
      const kept = head.get(tenantId);
      if (kept === undefined) continue;
      const { prunedNo, prunedHash, prunedMac } = kept;
      const before = prunedNo === null ? null : { prunedNo, prunedHash: prunedHash ?? '', prunedMac };
      const begin = cut.last === null ? (firstPrevious.get(tenantId) ?? '') : '';
      const next = checkpointAfter(tenantId, cut, { before, begin, secret });
      if (next !== null) keep.run({ tenantId, ...next });
    }
    return gone.length;
  };
}

/** Prepares the removal of whatever is past its time, and the folding of the journal. */
export function makePruner(db: Database): Pruner {
  const foldLedger = makeLedgerFolder(db);
  const tenants = db.prepare<[], string>(TENANTS_WITH_USAGE).pluck();
  // A range of the primary key.
  const rollups = db.prepare<[string, number, number, number]>(
    `DELETE FROM usage_rollups WHERE (tenant_id, level_ms, bucket_ms, key_id, model) IN (
       SELECT tenant_id, level_ms, bucket_ms, key_id, model FROM usage_rollups
       WHERE tenant_id = ? AND level_ms = ? AND bucket_ms < ? ORDER BY bucket_ms LIMIT ?)`,
  );
  // By usage_events_age.
  const usageEvents = db.prepare<[number, number]>(
    'DELETE FROM usage_events WHERE id IN (SELECT id FROM usage_events WHERE at_ms < ? ORDER BY at_ms LIMIT ?)',
  );
  // By idempotency_expiry.
  const answers = db.prepare<[number, number]>(
    `DELETE FROM idempotency WHERE (tenant_id, operation, target, key) IN (
       SELECT tenant_id, operation, target, key FROM idempotency WHERE expires_at_ms < ? ORDER BY expires_at_ms LIMIT ?)`,
  );
  // By usage_reports_age.
  const reports = db.prepare<[number, number]>(
    `DELETE FROM usage_reports WHERE (reporter_id, event_id) IN (
       SELECT reporter_id, event_id FROM usage_reports WHERE received_at_ms < ? ORDER BY received_at_ms LIMIT ?)`,
  );
  // By events_age.
  const events = db.prepare<[number, number]>(
    'DELETE FROM events WHERE seq IN (SELECT seq FROM events INDEXED BY events_age WHERE at_ms < ? ORDER BY at_ms LIMIT ?)',
  );
  // By deliveries_ended.
  const deliveries = db.prepare<[number, number]>(
    `DELETE FROM deliveries WHERE (webhook_id, event_seq, replay_id) IN (
       SELECT webhook_id, event_seq, replay_id FROM deliveries WHERE completed_at_ms IS NOT NULL AND completed_at_ms < ? ORDER BY completed_at_ms LIMIT ?)`,
  );
  const pruneAudit = makeAuditPruner(db);
  // By upstream_objects_age.
  const objects = db.prepare<[number, number]>(
    `DELETE FROM upstream_objects WHERE (tenant_id, id) IN (
       SELECT tenant_id, id FROM upstream_objects WHERE at_ms < ? ORDER BY at_ms LIMIT ?)`,
  );
  // By container_samples_by_age.
  const samples = db.prepare<[number, number, number]>(
    `DELETE FROM container_samples WHERE (container_id, level_ms, bucket_ms) IN (
       SELECT container_id, level_ms, bucket_ms FROM container_samples WHERE level_ms = ? AND bucket_ms < ? ORDER BY bucket_ms LIMIT ?)`,
  );
  return (nowMs, { retention, limit, trailSecret }, commit) => {
    const cutoffs = cutoffsAt(retention, nowMs);
    const counts = [
      usageEvents.run(cutoffs.usageEventsBeforeMs, limit).changes,
      answers.run(cutoffs.idempotencyBeforeMs, limit).changes,
      reports.run(nowMs - USAGE_REPORTS_KEEP_MS, limit).changes,
      objects.run(nowMs - UPSTREAM_OBJECTS_KEEP_MS, limit).changes,
      events.run(cutoffs.eventsBeforeMs, limit).changes,
      deliveries.run(cutoffs.deliveriesBeforeMs, limit).changes,
      pruneAudit({ beforeMs: cutoffs.auditBeforeMs, limit }, trailSecret),
    ];
    for (const { levelMs, beforeMs } of sampleCutoffs(nowMs)) counts.push(samples.run(levelMs, beforeMs, limit).changes);
    for (const tenantId of tenants.all()) {
      for (const { levelMs, beforeMs } of cutoffs.rollups) counts.push(rollups.run(tenantId, levelMs, beforeMs, limit).changes);
    }
    const fold = foldLedger(cutoffs.ledgerBeforeMs, Math.ceil(limit / LEDGER_SHARE));
    commit();
    return {
      removed: counts.reduce((sum, count) => sum + count, fold.removed),
      isDone: fold.isDone && counts.every((count) => count < limit),
    };
  };
}

import type { Database } from 'better-sqlite3';
import { UPSTREAM_OBJECTS_KEEP_MS } from '../../core/calls/upstream-object.ts';
import { ROLLUP_LEVELS, USAGE_EVENTS_KEEP_MS } from '../../core/usage/rollups.ts';

/** What one step of pruning did. A step removes about `limit` rows at most, so that no batch waits long behind it. */
export interface PruneStep {
  readonly removed: number;
  readonly isDone: boolean;
}

/** Removes at most `limit` rows of each kind that are past their time. Runs inside a transaction that it commits. */
export type Pruner = (nowMs: number, limit: number, commit: () => void) => PruneStep;

/** Every tenant that has rollups, found by skipping from one to the next in the primary key. */
const TENANTS_WITH_USAGE = `
  WITH RECURSIVE tenant (id) AS (
    SELECT min(tenant_id) FROM usage_rollups
    UNION ALL
    SELECT (SELECT min(tenant_id) FROM usage_rollups WHERE tenant_id > tenant.id) FROM tenant WHERE tenant.id IS NOT NULL
  )
  SELECT id FROM tenant WHERE id IS NOT NULL`;

/** Prepares the removal of rollups past their level's time, usage events and upstreams' objects past theirs and idempotency records past their answer's. */
export function makePruner(db: Database): Pruner {
  const tenants = db.prepare<[], string>(TENANTS_WITH_USAGE).pluck();
  // A range of the primary key.
  const rollups = db.prepare<[string, number, number, number]>(
    `DELETE FROM usage_rollups WHERE (tenant_id, level_ms, bucket_ms, key_id, model) IN (
       SELECT tenant_id, level_ms, bucket_ms, key_id, model FROM usage_rollups
       WHERE tenant_id = ? AND level_ms = ? AND bucket_ms < ? ORDER BY bucket_ms LIMIT ?)`,
  );
  // By usage_events_age.
  const events = db.prepare<[number, number]>(
    'DELETE FROM usage_events WHERE id IN (SELECT id FROM usage_events WHERE at_ms < ? ORDER BY at_ms LIMIT ?)',
  );
  // By idempotency_expiry.
  const answers = db.prepare<[number, number]>(
    `DELETE FROM idempotency WHERE (tenant_id, operation, target, key) IN (
       SELECT tenant_id, operation, target, key FROM idempotency WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT ?)`,
  );
  // By upstream_objects_age.
  const objects = db.prepare<[number, number]>(
    `DELETE FROM upstream_objects WHERE (tenant_id, id) IN (
       SELECT tenant_id, id FROM upstream_objects WHERE at_ms < ? ORDER BY at_ms LIMIT ?)`,
  );
  return (nowMs, limit, commit) => {
    const counts = [
      events.run(nowMs - USAGE_EVENTS_KEEP_MS, limit).changes,
      answers.run(nowMs, limit).changes,
      objects.run(nowMs - UPSTREAM_OBJECTS_KEEP_MS, limit).changes,
    ];
    for (const tenantId of tenants.all()) {
      for (const { levelMs, keepMs } of ROLLUP_LEVELS) {
        // A bucket goes when all of it is past its time.
        if (keepMs !== null) counts.push(rollups.run(tenantId, levelMs, nowMs - keepMs - levelMs + 1, limit).changes);
      }
    }
    commit();
    return { removed: counts.reduce((sum, count) => sum + count, 0), isDone: counts.every((count) => count < limit) };
  };
}

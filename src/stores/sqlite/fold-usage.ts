import type { Database } from 'better-sqlite3';
import { ALL_KEYS, ALL_TIME_LEVEL_MS, ROLLUP_LEVELS } from '../../core/usage/rollups.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import { USAGE_COLUMNS } from '../_shared/usage-row.ts';

/** Folds at most `limit` events of the tail; returns how many. Runs inside a transaction that it commits. */
export type UsageFolder = (limit: number, nowMs: number, commit: () => void) => number;

/** A moment that no bucket of a level kept for ever is older than. */
const FOR_EVER_MS = '9223372036854775807';

const LEVELS = ROLLUP_LEVELS.map(({ levelMs, keepMs }) => `(${levelMs}, ${keepMs ?? FOR_EVER_MS})`).join(', ');

const COLUMNS = USAGE_COLUMNS.join(', ');

/** The finest level: every other one is a sum of its buckets. */
const FINEST_MS = ROLLUP_LEVELS[0]?.levelMs ?? 1;

/**
 * Adds the events of `fold_ids` to every rollup: summed up to the finest buckets first, then those to each level, once under their key
 * and once under all keys. A level that would drop the bucket at the next pruning (old events, folded late) is left out.
 */
const ADD_TO_ROLLUPS = `
  INSERT INTO usage_rollups (tenant_id, level_ms, bucket_ms, key_id, model,
    requests, prompt_tokens, completion_tokens, cached_prompt_tokens, cost_nano_usd, charge_microcents, last_at_ms)
  WITH levels (level_ms, keep_ms) AS (VALUES ${LEVELS}),
    sums (of_key) AS (VALUES (0), (1)),
    fine AS MATERIALIZED (
      SELECT tenant_id, at_ms - at_ms % ${FINEST_MS} AS fine_ms, key_id, model,
        sum(requests) AS requests, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
        sum(cached_prompt_tokens) AS cached_prompt_tokens, sum(cost_nano_usd) AS cost_nano_usd,
        sum(charge_microcents) AS charge_microcents, max(at_ms) AS last_at_ms
      FROM usage_tail WHERE id IN (SELECT id FROM fold_ids) GROUP BY 1, 2, 3, 4
    )
  SELECT tenant_id, levels.level_ms,
    CASE levels.level_ms WHEN ${ALL_TIME_LEVEL_MS} THEN 0 ELSE fine_ms - fine_ms % levels.level_ms END AS bucket_ms,
    CASE sums.of_key WHEN 1 THEN key_id ELSE '${ALL_KEYS}' END AS sum_key,
    model,
    sum(requests), sum(prompt_tokens), sum(completion_tokens), sum(cached_prompt_tokens),
    sum(cost_nano_usd), sum(charge_microcents), max(last_at_ms)
  FROM fine CROSS JOIN levels CROSS JOIN sums
  WHERE levels.keep_ms > CAST(? AS INTEGER) - fine_ms
  GROUP BY 1, 2, 3, 4, 5
  ON CONFLICT (tenant_id, level_ms, bucket_ms, key_id, model) DO UPDATE SET
    requests = requests + excluded.requests,
    prompt_tokens = prompt_tokens + excluded.prompt_tokens,
    completion_tokens = completion_tokens + excluded.completion_tokens,
    cached_prompt_tokens = cached_prompt_tokens + excluded.cached_prompt_tokens,
    cost_nano_usd = cost_nano_usd + excluded.cost_nano_usd,
    charge_microcents = charge_microcents + excluded.charge_microcents,
    last_at_ms = max(last_at_ms, excluded.last_at_ms)`;

/** Prepares the fold: the oldest events by id go from the tail to `usage_events` and into the rollups, all or nothing. */
export function makeUsageFolder(db: Database, failpoints: Failpoints): UsageFolder {
  // In memory (temp_store), on this connection alone.
  db.exec('CREATE TEMP TABLE fold_ids (id TEXT PRIMARY KEY) WITHOUT ROWID');
  const choose = db.prepare<[number]>('INSERT INTO fold_ids (id) SELECT id FROM usage_tail ORDER BY id LIMIT ?');
  const copy = db.prepare(`INSERT INTO usage_events (${COLUMNS}) SELECT ${COLUMNS} FROM usage_tail WHERE id IN (SELECT id FROM fold_ids)`);
  const addToRollups = db.prepare<[number]>(ADD_TO_ROLLUPS);
  const empty = db.prepare('DELETE FROM usage_tail WHERE id IN (SELECT id FROM fold_ids)');
  const forget = db.prepare('DELETE FROM fold_ids');
  return (limit, nowMs, commit) => {
    forget.run();
    const folded = choose.run(limit).changes;
    if (folded === 0) return 0;
    copy.run();
    addToRollups.run(nowMs);
    empty.run();
    failpoints.hit('fold.written');
    commit();
    return folded;
  };
}

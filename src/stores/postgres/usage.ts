import { ALL_KEYS, ALL_TIME_LEVEL_MS, levelFor, ROLLUP_LEVELS, spansFrom, type RollupSpan } from '../../core/usage/rollups.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { USAGE_COLUMNS, usageFromRow, type UsageRow } from '../_shared/usage-row.ts';
import { arrayText, columnArrays } from './columns.ts';
import type { Statement } from './statement.ts';
import type { Reader } from './reader.ts';

/** One node folds at a time; the others find nothing to do meanwhile. */
const FOLD_LOCK = 0x7e4c;

const COUNTERS = ['requests', 'prompt_tokens', 'completion_tokens', 'cached_prompt_tokens', 'cost_nano_usd', 'charge_microcents'] as const;

/**
 * Folds up to $1 events of the tail: moves them to the raw events and adds those that were not there yet to every level, per key and
 * over all keys. One statement, so an event is either in the tail or folded, for every reader and after every crash.
 *
 * Levels are $2 (all but all time). Events younger than their level's time to be kept or not are summed alike; pruning forgets them.
 * Indexes: usage_tail_pkey (oldest ids first), usage_events_pkey, usage_rollups_pkey.
 */
const FOLD: Statement = {
  name: 'fold_usage',
  text: `
    WITH moved AS (
      DELETE FROM usage_tail WHERE id IN (SELECT id FROM usage_tail ORDER BY id LIMIT $1::bigint FOR UPDATE SKIP LOCKED)
      RETURNING ${USAGE_COLUMNS.join(', ')}
    ), kept AS (
      INSERT INTO usage_events (${USAGE_COLUMNS.join(', ')}) SELECT ${USAGE_COLUMNS.join(', ')} FROM moved
      ON CONFLICT (id) DO NOTHING
      RETURNING tenant_id, key_id, model, at_ms, ${COUNTERS.join(', ')}
    ), summed AS (
      INSERT INTO usage_rollups AS r (tenant_id, level_ms, bucket_ms, key_id, model, ${COUNTERS.join(', ')}, last_at_ms)
      SELECT kept.tenant_id, level.ms, CASE WHEN level.ms = 0 THEN 0 ELSE kept.at_ms - kept.at_ms % level.ms END AS bucket_ms, whose.key_id, kept.model,
             ${COUNTERS.map((counter) => `sum(kept.${counter})::bigint`).join(', ')}, max(kept.at_ms)
      FROM kept CROSS JOIN unnest($2::bigint[]) AS level(ms) CROSS JOIN LATERAL (VALUES (kept.key_id), ('${ALL_KEYS}')) AS whose(key_id)
      GROUP BY 1, 2, 3, 4, 5
      ON CONFLICT (tenant_id, level_ms, bucket_ms, key_id, model) DO UPDATE SET
        ${COUNTERS.map((counter) => `${counter} = r.${counter} + excluded.${counter}`).join(', ')},
        last_at_ms = greatest(r.last_at_ms, excluded.last_at_ms)
    )
    SELECT count(*) AS folded FROM moved`,
};

/** Folds at most `limit` events of the tail into the rollups; returns how many, 0 while another node is folding. */
export function foldUsage(reader: Reader, limit: number, onWritten: () => void): Promise<number> {
  return reader.transaction('BEGIN', async (query) => {
    const [lock] = await query('SELECT pg_try_advisory_xact_lock($1) AS taken', [FOLD_LOCK]);
    if (lock?.['taken'] !== true) return 0;
    const levels = arrayText(ROLLUP_LEVELS.map(({ levelMs }) => levelMs));
    const [row] = await query(FOLD.text, [limit, levels]);
    onWritten();
    return Number(row?.['folded']);
  });
}

/** The first or last bucket that a tenant has at a level, or null: one look-up in usage_rollups_pkey. */
const bucketAt = (end: 'ASC' | 'DESC'): string => `(
          SELECT bucket_ms FROM usage_rollups WHERE tenant_id = $1 AND level_ms = span.level_ms ORDER BY bucket_ms ${end} LIMIT 1)`;

/**
 * Rows of the rollups over the buckets of the spans in $2 to $4 (level, from, to), none before the tenant's oldest bucket and none after
 * its newest. Each bucket is one look-up in usage_rollups_pkey: a range of buckets would read the rows of every key in it to find those
 * of one. OFFSET 0 keeps the planner from starting at the rollups.
 */
const ROLLUPS = (keyCondition: string): string => `
      SELECT r.*
      FROM unnest($2::bigint[], $3::bigint[], $4::bigint[]) AS span(level_ms, from_ms, to_ms)
      CROSS JOIN LATERAL generate_series(
        greatest(span.from_ms, ${bucketAt('ASC')}), least(span.to_ms - span.level_ms, coalesce(${bucketAt('DESC')}, -1)), greatest(span.level_ms, 1)
      ) AS bucket(ms)
      CROSS JOIN LATERAL (
        SELECT key_id, model, bucket_ms AS at_ms, requests, prompt_tokens, completion_tokens, cost_nano_usd FROM usage_rollups
        WHERE tenant_id = $1 AND level_ms = span.level_ms AND bucket_ms = bucket.ms AND ${keyCondition} OFFSET 0
      ) AS r`;

/** Rows of the tail from $5 on. It is short, because it is folded all the time. */
const TAIL = (keyCondition: string): string => `
      SELECT key_id, model, at_ms, requests, prompt_tokens, completion_tokens, cost_nano_usd
      FROM usage_tail WHERE tenant_id = $1 AND at_ms >= $5::bigint AND ${keyCondition}`;

const EACH_KEY = `key_id > '${ALL_KEYS}'`;

// One statement reads rollups and tail, hence one snapshot: an event is in exactly one of the two.
const TOTALS = (keyCondition: string): string => `
    SELECT key_id, model, sum(requests)::bigint AS requests, sum(prompt_tokens)::bigint AS prompt_tokens,
           sum(completion_tokens)::bigint AS completion_tokens, sum(cost_nano_usd)::bigint AS cost_nano_usd
    FROM (${ROLLUPS(keyCondition)} UNION ALL ${TAIL(keyCondition)}) AS both_parts
    GROUP BY key_id, model ORDER BY key_id, model`;

const TOTALS_OF_TENANT: Statement = { name: 'usage_totals', text: TOTALS(EACH_KEY) };
const TOTALS_OF_KEY: Statement = { name: 'usage_totals_of_key', text: TOTALS('key_id = $6') };

const SERIES: Statement = {
  name: 'usage_series',
  text: `
    SELECT at_ms - at_ms % $6::bigint AS bucket_ms, model, sum(requests)::bigint AS requests, sum(prompt_tokens)::bigint AS prompt_tokens,
           sum(completion_tokens)::bigint AS completion_tokens
    FROM (${ROLLUPS(`key_id = '${ALL_KEYS}'`)} UNION ALL ${TAIL('true')}) AS both_parts
    GROUP BY 1, model ORDER BY 1, model`,
};

const KEY_USAGE = (keyCondition: string): string => `
    SELECT key_id, sum(requests)::bigint AS requests, sum(prompt_tokens)::bigint AS prompt_tokens,
           sum(completion_tokens)::bigint AS completion_tokens, max(last_at_ms) AS last_at_ms
    FROM (
      SELECT key_id, requests, prompt_tokens, completion_tokens, last_at_ms
      FROM usage_rollups WHERE tenant_id = $1 AND level_ms = ${ALL_TIME_LEVEL_MS} AND bucket_ms = 0 AND ${keyCondition}
      UNION ALL
      SELECT key_id, requests, prompt_tokens, completion_tokens, at_ms FROM usage_tail WHERE tenant_id = $1 AND ${keyCondition}
    ) AS both_parts
    GROUP BY key_id ORDER BY key_id`;

// Index: usage_rollups_pkey.
const USAGE_OF_ALL_KEYS: Statement = { name: 'key_usage_of_tenant', text: KEY_USAGE(EACH_KEY) };
const USAGE_OF_KEYS: Statement = { name: 'key_usage', text: KEY_USAGE('key_id = ANY ($2::text[])') };

// Index: usage_events_of_tenant, the newest of it; the tail is sorted whole.
const USAGE_EVENTS: Statement = {
  name: 'usage_events',
  text: `
    (SELECT ${USAGE_COLUMNS.join(', ')} FROM usage_events WHERE tenant_id = $1 ORDER BY at_ms DESC, id DESC LIMIT $2)
    UNION ALL
    (SELECT ${USAGE_COLUMNS.join(', ')} FROM usage_tail WHERE tenant_id = $1)
    ORDER BY at_ms DESC, id DESC LIMIT $2`,
};

interface CountsRow {
  readonly requests: bigint;
  readonly prompt_tokens: bigint;
  readonly completion_tokens: bigint;
}

const countsOf = (row: CountsRow): { requests: number; promptTokens: number; completionTokens: number } => ({
  requests: Number(row.requests),
  promptTokens: Number(row.prompt_tokens),
  completionTokens: Number(row.completion_tokens),
});

/** The end of an open span: later than any bucket. */
const FOR_EVER_MS = Number.MAX_SAFE_INTEGER;

const spanArrays = (spans: readonly RollupSpan[]): string[] =>
  columnArrays(
    spans.map((span) => [span.levelMs, span.fromMs, span.toMs ?? FOR_EVER_MS]),
    3,
  );

const ALL_TIME: readonly RollupSpan[] = [{ levelMs: ALL_TIME_LEVEL_MS, fromMs: 0, toMs: null }];

/** Makes the reads of usage. */
export function makeUsageReads(reader: Reader): Pick<RecordStore, 'usageTotals' | 'usageSeries' | 'keyUsage' | 'usageEvents'> {
  return {
    async usageTotals({ tenantId, keyId, fromMs, intervalMs }) {
      const spans = fromMs === null ? ALL_TIME : spansFrom(fromMs, intervalMs);
      const values = [tenantId, ...spanArrays(spans), fromMs ?? Number.MIN_SAFE_INTEGER];
      type TotalRow = CountsRow & { key_id: string; model: string; cost_nano_usd: bigint };
      const rows = await (keyId === undefined
        ? reader.rows<TotalRow>(TOTALS_OF_TENANT, values)
        : reader.rows<TotalRow>(TOTALS_OF_KEY, [...values, keyId]));
      return rows.map((row) => ({ keyId: row.key_id, model: row.model, ...countsOf(row), costNanoUsd: row.cost_nano_usd }));
    },
    async usageSeries({ tenantId, fromMs, intervalMs }) {
      const spans = [{ levelMs: levelFor(intervalMs), fromMs, toMs: null }];
      const rows = await reader.rows<CountsRow & { bucket_ms: bigint; model: string }>(SERIES, [
        tenantId,
        ...spanArrays(spans),
        fromMs,
        intervalMs,
      ]);
      return rows.map((row) => ({ bucketMs: Number(row.bucket_ms), model: row.model, ...countsOf(row) }));
    },
    async keyUsage({ tenantId, keyIds }) {
      const statement = keyIds === undefined ? USAGE_OF_ALL_KEYS : USAGE_OF_KEYS;
      type KeyRow = CountsRow & { key_id: string; last_at_ms: bigint | null };
      const rows = await reader.rows<KeyRow>(statement, keyIds === undefined ? [tenantId] : [tenantId, arrayText(keyIds)]);
      return rows.map((row) => ({
        keyId: row.key_id,
        ...countsOf(row),
        lastUsedAtMs: row.last_at_ms === null ? null : Number(row.last_at_ms),
      }));
    },
    async usageEvents({ tenantId, limit }) {
      return (await reader.rows<UsageRow>(USAGE_EVENTS, [tenantId, limit])).map(usageFromRow);
    },
  };
}

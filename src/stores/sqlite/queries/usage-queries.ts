import type { Database } from 'better-sqlite3';
import { ALL_KEYS, ALL_TIME_LEVEL_MS, levelFor, spansFrom, type RollupSpan } from '../../../core/usage/rollups.ts';
import { USAGE_COLUMNS, usageFromRow, type UsageRow } from '../../_shared/usage-row.ts';
import type { Queries } from '../messages.ts';
import { toUsageColumns, type UsageTotalRow } from '../usage-columns.ts';

/**
 * Rows of the tail and of the rollup buckets `@buckets` ([[level, bucket], ...]) of a tenant. Each bucket is one look-up in the primary
 * key of the rollups: a range of buckets would read the rows of every key in it to find those of one.
 */
const usageRows = (rollupKey: string, tailKey: string): string => `
  SELECT usage_rollups.key_id, usage_rollups.model, bucket_ms AS at_ms, requests, prompt_tokens, completion_tokens, cost_nano_usd, last_at_ms
  FROM json_each(@buckets) AS bucket CROSS JOIN usage_rollups
    ON tenant_id = @tenantId AND level_ms = bucket.value ->> 0 AND bucket_ms = bucket.value ->> 1 AND ${rollupKey}
  UNION ALL
  SELECT key_id, model, at_ms, requests, prompt_tokens, completion_tokens, cost_nano_usd, at_ms AS last_at_ms
  FROM usage_tail WHERE tenant_id = @tenantId AND at_ms >= @fromMs AND ${tailKey}`;

const ONE_KEY = 'key_id = @keyId';
const EACH_KEY = `key_id > '${ALL_KEYS}'`;
const ANY_KEY_OF_TAIL = 'true';

const totals = (rows: string): string => `
  SELECT key_id, model, sum(requests) AS requests, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
    sum(cost_nano_usd) AS cost_nano_usd
  FROM (${rows}) GROUP BY key_id, model`;

const counters = (rows: string): string => `
  SELECT key_id, sum(requests) AS requests, sum(prompt_tokens) AS prompt_tokens, sum(completion_tokens) AS completion_tokens,
    max(last_at_ms) AS last_at_ms
  FROM (${rows}) GROUP BY key_id`;

const SOME_KEYS = 'key_id IN (SELECT value FROM json_each(@keyIds))';

/**
 * The statements of the usage queries; rollups by primary key. One statement reads rollups and tail, hence one snapshot: an event is in
 * exactly one of the two.
 */
export const USAGE_SQL = {
  totals: totals(usageRows(EACH_KEY, ANY_KEY_OF_TAIL)),
  totalsOfKey: totals(usageRows(ONE_KEY, ONE_KEY)),
  series: `
    SELECT at_ms - at_ms % @intervalMs AS bucket_ms, model, sum(requests) AS requests, sum(prompt_tokens) AS prompt_tokens,
      sum(completion_tokens) AS completion_tokens
    FROM (${usageRows(`key_id = '${ALL_KEYS}'`, ANY_KEY_OF_TAIL)}) GROUP BY 1, 2`,
  keyUsage: counters(usageRows(EACH_KEY, ANY_KEY_OF_TAIL)),
  someKeyUsage: counters(usageRows(SOME_KEYS, SOME_KEYS)),
  /** Two look-ups in the primary key. */
  oldestBucket: 'SELECT min(bucket_ms) FROM usage_rollups WHERE tenant_id = ? AND level_ms = ?',
  newestBucket: 'SELECT max(bucket_ms) FROM usage_rollups WHERE tenant_id = ? AND level_ms = ?',
  /** By usage_events_of_tenant; the tail is short. */
  events: `
    SELECT * FROM (
      SELECT ${USAGE_COLUMNS.join(', ')} FROM usage_tail WHERE tenant_id = @tenantId
      UNION ALL
      SELECT * FROM (
        SELECT ${USAGE_COLUMNS.join(', ')} FROM usage_events WHERE tenant_id = @tenantId ORDER BY at_ms DESC, id DESC LIMIT @limit
      )
    ) ORDER BY at_ms DESC, id DESC LIMIT @limit`,
} as const;

type UsageQueries = Pick<Queries, 'usageTotals' | 'usageSeries' | 'keyUsage' | 'usageEvents'>;

interface CountRow {
  readonly requests: bigint;
  readonly prompt_tokens: bigint;
  readonly completion_tokens: bigint;
}
type PointRow = CountRow & { readonly bucket_ms: bigint; readonly model: string };
type CounterRow = CountRow & { readonly key_id: string; readonly last_at_ms: bigint };

const counts = (row: CountRow): { requests: number; promptTokens: number; completionTokens: number } => ({
  requests: Number(row.requests),
  promptTokens: Number(row.prompt_tokens),
  completionTokens: Number(row.completion_tokens),
});

const ALL_TIME_BUCKETS = JSON.stringify([[ALL_TIME_LEVEL_MS, 0]]);
const NO_LIMIT_MS = BigInt(Number.MIN_SAFE_INTEGER);

/** Queries of usage, prepared on a reading connection. */
export function makeUsageQueries(db: Database): UsageQueries {
  const prepare = <R>(sql: string) => db.prepare<[Record<string, string | bigint>], R>(sql).safeIntegers();
  const totalsOfAll = prepare<UsageTotalRow>(USAGE_SQL.totals).raw();
  const totalsOfKey = prepare<UsageTotalRow>(USAGE_SQL.totalsOfKey).raw();
  const series = prepare<PointRow>(USAGE_SQL.series);
  const keyUsage = prepare<CounterRow>(USAGE_SQL.keyUsage);
  const someKeyUsage = prepare<CounterRow>(USAGE_SQL.someKeyUsage);
  const events = prepare<UsageRow>(USAGE_SQL.events);
  const bucketsIn = makeBucketLister(db);

  return {
    usageTotals: db.transaction(({ tenantId, keyId, fromMs, intervalMs }: Parameters<Queries['usageTotals']>[0]) => {
      const buckets = fromMs === null ? ALL_TIME_BUCKETS : bucketsIn(tenantId, spansFrom(fromMs, intervalMs));
      const range = { tenantId, buckets, fromMs: fromMs === null ? NO_LIMIT_MS : BigInt(fromMs) };
      const rows = keyId === undefined ? totalsOfAll.all(range) : totalsOfKey.all({ ...range, keyId });
      return toUsageColumns(rows);
    }),
    usageSeries: db.transaction(({ tenantId, fromMs, intervalMs }: Parameters<Queries['usageSeries']>[0]) => {
      const buckets = bucketsIn(tenantId, [{ levelMs: levelFor(intervalMs), fromMs, toMs: null }]);
      const rows = series.all({ tenantId, buckets, fromMs: BigInt(fromMs), intervalMs: BigInt(intervalMs) });
      return rows.map((row) => ({ bucketMs: Number(row.bucket_ms), model: row.model, ...counts(row) }));
    }),
    keyUsage: ({ tenantId, keyIds }) => {
      const allTime = { tenantId, buckets: ALL_TIME_BUCKETS, fromMs: NO_LIMIT_MS };
      const rows = keyIds === undefined ? keyUsage.all(allTime) : someKeyUsage.all({ ...allTime, keyIds: JSON.stringify(keyIds) });
      return rows.map((row) => ({ keyId: row.key_id, ...counts(row), lastUsedAtMs: Number(row.last_at_ms) }));
    },
    usageEvents: ({ tenantId, limit }) => events.all({ tenantId, limit: BigInt(limit) }).map(usageFromRow),
  };
}

/** The buckets of spans that may hold rows, as the parameter `@buckets`: none before the tenant's oldest, none after its newest. */
function makeBucketLister(db: Database): (tenantId: string, spans: readonly RollupSpan[]) => string {
  const oldestBucket = db.prepare<[string, number], number | null>(USAGE_SQL.oldestBucket).pluck();
  const newestBucket = db.prepare<[string, number], number | null>(USAGE_SQL.newestBucket).pluck();
  return (tenantId, spans) => {
    const buckets: [number, number][] = [];
    for (const { levelMs, fromMs, toMs } of spans) {
      const oldestMs = oldestBucket.get(tenantId, levelMs) ?? Number.POSITIVE_INFINITY;
      const newestMs = newestBucket.get(tenantId, levelMs) ?? Number.NEGATIVE_INFINITY;
      const endMs = Math.min(toMs ?? Number.POSITIVE_INFINITY, newestMs + levelMs);
      for (let bucketMs = Math.max(fromMs, oldestMs); bucketMs < endMs; bucketMs += levelMs) buckets.push([levelMs, bucketMs]);
    }
    return JSON.stringify(buckets);
  };
}

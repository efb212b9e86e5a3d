import { ROLLUP_LEVELS } from '../core/usage/rollups.ts';
import { windowRange, type UsageWindow } from '../core/usage/windows.ts';
import type { Clock } from '../ports/clock.ts';
import type { RecordStore, UsageTotal } from '../ports/record-store.ts';
import type { LedgerWriter } from './ledger-writer.ts';

/** What was used, over whatever the sums cover. `costNanoUsd` is exact. */
export interface UsageSums {
  readonly requests: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly costNanoUsd: bigint;
}

/** Usage under one key name, and by model below it. */
export interface NamedUsage extends UsageSums {
  readonly name: string;
  readonly models: ReadonlyMap<string, UsageSums>;
}

/** Usage of a tenant, and by key name below it. */
export interface TenantUsage extends UsageSums {
  readonly keys: readonly NamedUsage[];
}

/** Sums of one model in one bucket. */
export type PointSums = Omit<UsageSums, 'costNanoUsd'>;

/** One bucket of a series; an empty one has no models. */
export interface SeriesPoint extends PointSums {
  readonly atMs: number;
  readonly models: ReadonlyMap<string, PointSums>;
}

/** A series without gaps, oldest bucket first. */
export interface UsageSeries {
  readonly points: readonly SeriesPoint[];
  readonly intervalMs: number;
}

/** Which usage: a window that ends now, or all time with null; of one key where it is given. */
export interface UsageQuery {
  readonly tenantId: string;
  readonly window: UsageWindow | null;
  readonly keyId?: string;
}

/**
 * Reads of usage. Each waits until what this node booked before is durable, so that a caller sees its own finished calls.
 *
 * Windows are those of {@link windowRange}; totals equal the sum of the series of the same window at the same moment.
 */
export interface UsageReader {
  /** Totals, grouped by the keys' present names: keys of one name are added up, deleted keys stand under their last one. */
  byKeyName(query: UsageQuery): Promise<TenantUsage>;
  /** Totals of one key. */
  ofKey(query: UsageQuery & { readonly keyId: string }): Promise<UsageSums>;
  /** Buckets by model. */
  series(query: { readonly tenantId: string; readonly window: UsageWindow }): Promise<UsageSeries>;
}

/** What all time is counted in where a bucket length is asked for: the coarsest that there is. */
const ANY_INTERVAL_MS = Math.max(...ROLLUP_LEVELS.map(({ levelMs }) => levelMs));

const NOTHING: UsageSums = { requests: 0, promptTokens: 0, completionTokens: 0, costNanoUsd: 0n };

const plus = (a: UsageSums, b: UsageSums): UsageSums => ({
  requests: a.requests + b.requests,
  promptTokens: a.promptTokens + b.promptTokens,
  completionTokens: a.completionTokens + b.completionTokens,
  costNanoUsd: a.costNanoUsd + b.costNanoUsd,
});

const sumOf = (totals: readonly UsageSums[]): UsageSums => totals.reduce(plus, NOTHING);

/** Makes the {@link UsageReader} over the committed rows of a store. */
export function makeUsageReader(deps: {
  records: Pick<RecordStore, 'usageTotals' | 'usageSeries' | 'keyNames'>;
  writer: Pick<LedgerWriter, 'barrier'>;
  clock: Clock;
}): UsageReader {
  const { records, writer, clock } = deps;

  async function totals({ tenantId, window, keyId }: UsageQuery): Promise<UsageTotal[]> {
    await writer.barrier(tenantId);
    const fromMs = window === null ? null : windowRange(window, clock.nowMs()).fromMs;
    const intervalMs = window === null ? ANY_INTERVAL_MS : window.intervalMs;
    return records.usageTotals({ tenantId, fromMs, intervalMs, ...(keyId === undefined ? {} : { keyId }) });
  }

  return {
    byKeyName: async (query) => {
      const found = await totals(query);
      const names = await records.keyNames(query.tenantId, [...new Set(found.map(({ keyId }) => keyId))]);
      return { ...sumOf(found), keys: groupByName(found, names) };
    },
    ofKey: async (query) => sumOf(await totals(query)),
    series: async ({ tenantId, window }) => {
      await writer.barrier(tenantId);
      const { intervalMs } = window;
      const { fromMs, points } = windowRange(window, clock.nowMs());
      const found = await records.usageSeries({ tenantId, fromMs, intervalMs });
      const lastMs = fromMs + (points - 1) * intervalMs;
      // A database whose clock is ahead of ours may have booked into the next bucket: it counts, so it shows.
      const byBucket = Map.groupBy(found, ({ bucketMs }) => Math.min(bucketMs, lastMs));
      const bucketsMs = Array.from({ length: points }, (_, index) => fromMs + index * intervalMs);
      return { intervalMs, points: bucketsMs.map((atMs) => pointOf(atMs, byBucket.get(atMs) ?? [])) };
    },
  };
}

/** Rows of keys, added up under the keys' names. Those of a key that nobody knows any more stand under its id: nothing is lost. */
function groupByName(totals: readonly UsageTotal[], names: ReadonlyMap<string, string>): NamedUsage[] {
  const byName = Map.groupBy(totals, ({ keyId }) => names.get(keyId) ?? keyId);
  return [...byName].map(([name, rows]) => ({ name, ...sumOf(rows), models: sumsByModel(rows) }));
}

function sumsByModel(rows: readonly UsageTotal[]): Map<string, UsageSums> {
  const byModel = Map.groupBy(rows, ({ model }) => model);
  return new Map([...byModel].map(([model, of]) => [model, sumOf(of)]));
}

function pointOf(atMs: number, rows: readonly (PointSums & { readonly model: string })[]): SeriesPoint {
  const priced = rows.map((row) => ({ ...row, costNanoUsd: 0n }));
  const withoutCost = (rowsOf: readonly UsageSums[]): PointSums => {
    const { costNanoUsd: _none, ...sums } = sumOf(rowsOf);
    return sums;
  };
  const models = Map.groupBy(priced, ({ model }) => model);
  return { atMs, ...withoutCost(priced), models: new Map([...models].map(([model, of]) => [model, withoutCost(of)])) };
}

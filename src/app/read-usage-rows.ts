import { ROLLUP_LEVELS } from '../core/usage/rollups.ts';
import { windowRange, type UsageWindow } from '../core/usage/windows.ts';
import type { Clock } from '../ports/clock.ts';
import type { RecordStore, UsageTotal } from '../ports/record-store.ts';
import type { LedgerWriter } from './ledger-writer.ts';
import type { UsageSums } from './read-usage.ts';

/** What rows of usage are summed over. */
export type UsageGrouping = 'tenant' | 'key' | 'model';

/** Usage of one tenant, of one of its keys, or of one of its models. What the grouping does not tell apart is null. */
export interface UsageRow extends UsageSums {
  readonly tenantId: string;
  readonly keyId: string | null;
  /** The key's present name, of a deleted one its last; null also where nobody knows it any more. */
  readonly keyName: string | null;
  readonly model: string | null;
}

/** Which usage: of one tenant or, with null, of all of them; a window that ends now or, with null, all time. */
export interface UsageRowsQuery {
  readonly tenantId: string | null;
  readonly window: UsageWindow | null;
  readonly by: UsageGrouping;
}

/** Usage as the operator asks for it. `fromMs` is null for all time. */
export interface UsageTable {
  readonly fromMs: number | null;
  readonly toMs: number;
  readonly rows: readonly UsageRow[];
}

const ANY_INTERVAL_MS = Math.max(...ROLLUP_LEVELS.map(({ levelMs }) => levelMs));

/**
 * Makes the operator's reads of usage. Rows stand in the order of tenants, keys and models; a tenant without usage has one row of zeros where
 * they are grouped by tenant, and none otherwise. Each tenant is read after what this node booked for it before is durable.
 */
export function makeUsageRows(deps: {
  records: Pick<RecordStore, 'records' | 'usageTotals' | 'keyNames'>;
  writer: Pick<LedgerWriter, 'barrier'>;
  clock: Clock;
}): (query: UsageRowsQuery) => Promise<UsageTable> {
  const { records, writer, clock } = deps;
  return async ({ tenantId, window, by }) => {
    const toMs = clock.nowMs();
    const fromMs = window === null ? null : windowRange(window, toMs).fromMs;
    const intervalMs = window?.intervalMs ?? ANY_INTERVAL_MS;
    const tenantIds = tenantId === null ? (await records.records('tenant')).map(({ id }) => id) : [tenantId];
    const rows: UsageRow[] = [];
    // One after another: a server has many tenants, and other queries come in between.
    for (const id of tenantIds) {
      await writer.barrier(id);
      const totals = await records.usageTotals({ tenantId: id, fromMs, intervalMs });
      const names = by === 'key' ? await records.keyNames(id, [...new Set(totals.map(({ keyId }) => keyId))]) : new Map<string, string>();
      rows.push(...rowsOf(id, totals, { by, names }));
    }
    return { fromMs, toMs, rows };
  };
}

function rowsOf(
  tenantId: string,
  totals: readonly UsageTotal[],
  { by, names }: { readonly by: UsageGrouping; readonly names: ReadonlyMap<string, string> },
): UsageRow[] {
  if (by === 'tenant') return [{ tenantId, keyId: null, keyName: null, model: null, ...sumOf(totals) }];
  const groups = Map.groupBy(totals, (total) => (by === 'key' ? total.keyId : total.model));
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([group, of]) => ({
      tenantId,
      keyId: by === 'key' ? group : null,
      keyName: by === 'key' ? (names.get(group) ?? null) : null,
      model: by === 'model' ? group : null,
      ...sumOf(of),
    }));
}

const sumOf = (totals: readonly UsageSums[]): UsageSums =>
  totals.reduce<UsageSums>(
    (sum, { requests, promptTokens, completionTokens, costNanoUsd }) => ({
      requests: sum.requests + requests,
      promptTokens: sum.promptTokens + promptTokens,
      completionTokens: sum.completionTokens + completionTokens,
      costNanoUsd: sum.costNanoUsd + costNanoUsd,
    }),
    { requests: 0, promptTokens: 0, completionTokens: 0, costNanoUsd: 0n },
  );

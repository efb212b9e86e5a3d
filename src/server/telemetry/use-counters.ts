import type { SettleCallCommand } from '../../core/ledger/commands.ts';
import type { Cell } from '../../telemetry/metrics/families.ts';
import type { Metrics } from '../../telemetry/metrics/metrics.ts';

type BookedUsage = NonNullable<SettleCallCommand['usage']>;

/** The fields of a usage event that count tokens, by the `kind` that the metric shows. */
const TOKEN_KINDS = {
  prompt: 'promptTokens',
  completion: 'completionTokens',
  cached_prompt: 'cachedPromptTokens',
  cache_write_prompt: 'cacheWritePromptTokens',
  reasoning: 'reasoningTokens',
} as const satisfies Record<string, keyof BookedUsage>;

const KINDS = Object.entries(TOKEN_KINDS);

interface ModelCells {
  readonly tokens: readonly { readonly field: (typeof TOKEN_KINDS)[keyof typeof TOKEN_KINDS]; readonly cell: Cell }[];
  readonly cost: Cell;
  readonly reported: Cell;
  readonly estimated: Cell;
}

/** Counts the use of one booked call. */
export type CountUse = (usage: BookedUsage) => void;

/** Makes a {@link CountUse}. The cells of a model (and tenant, where asked for) are resolved at its first call. */
export function makeUseCounters(metrics: Metrics, options: { readonly tenantLabels: boolean }): CountUse {
  const byTenant = new Map<string, Map<string, ModelCells>>();
  const cellsOf = ({ tenantId, model }: BookedUsage): ModelCells => {
    const tenant = options.tenantLabels ? [tenantId] : [];
    const group = tenant[0] ?? '';
    const models = byTenant.get(group) ?? new Map<string, ModelCells>();
    byTenant.set(group, models);
    const known = models.get(model);
    if (known !== undefined) return known;
    const cells = {
      tokens: KINDS.map(([kind, field]) => ({ field, cell: metrics.tokens.cell(kind, model, ...tenant) })),
      cost: metrics.cost.cell(model, ...tenant),
      reported: metrics.calls.cell(model, 'false', ...tenant),
      estimated: metrics.calls.cell(model, 'true', ...tenant),
    };
    models.set(model, cells);
    return cells;
  };
  return (usage) => {
    const cells = cellsOf(usage);
    for (const { field, cell } of cells.tokens) cell.value += usage[field] ?? 0;
    // Up to nine million dollars a process, a double counts nano-dollars exactly.
    cells.cost.value += Number(usage.costNanoUsd);
    (usage.estimated ? cells.estimated : cells.reported).value += usage.requests;
  };
}

import type { FilteredOut } from './filter-candidates.ts';
import type { InferenceSettings, Preference } from './settings.ts';

/** An upstream that was looked at, for one model. */
export interface TracedCandidate {
  readonly upstreamId: string;
  readonly provider: string;
  readonly modelId: string;
}

/** One that was ranked. `score` is null where it is beyond all numbers, such as the cost of one without a price. */
export interface TracedScore extends TracedCandidate {
  readonly score: number | null;
  readonly costNanoUsd: number | null;
  readonly timeMs: number | null;
}

/** How the upstreams of a call were chosen: what `include_metadata` shows. `scored` is in the order of trial. */
export interface RoutingTrace {
  readonly appliedFilters: readonly string[];
  readonly initial: readonly TracedCandidate[];
  readonly filteredOut: readonly FilteredOut[];
  readonly scored: readonly TracedScore[];
  /** Null: by weight. */
  readonly preference: Preference | null;
}

/** What became of a call that was answered: the places of its upstreams among the scored ones, and what it cost in nano-USD. */
export interface RoutingResult {
  readonly selected: number;
  readonly failed: ReadonlySet<number>;
  /** Null where the upstream had no price. */
  readonly cost: { readonly promptNanoUsd: bigint; readonly completionNanoUsd: bigint } | null;
  readonly latencyMs: number;
}

/** Filters that hold for every call, and then those that the settings put on: by their names on the wire. */
export function appliedFilters(settings: InferenceSettings | null): readonly string[] {
  const implicit = ['api', 'price', 'context_length', 'output_limit'];
  if (settings === null) return implicit;
  return [
    ...implicit,
    ...(settings.blacklistedModels.length > 0 ? ['blacklisted_models'] : []),
    ...(settings.allowedProviders === null ? [] : ['allowed_providers']),
    ...(settings.euNative ? ['eu_native'] : []),
    ...(settings.allowZeroDataRetention ? ['allow_zero_data_retention'] : []),
    ...(settings.allowQuantization ? [] : ['allow_quantization']),
  ];
}

const NANOS_PER_USD = 1_000_000_000;

const usd = (nanos: bigint): number => Number(nanos) / NANOS_PER_USD;

/**
 * The `metadata` of an answer. Costs are numbers in USD, times in milliseconds; `upstream` and `model` beside each `provider` are ours.
 * Source: Cortecs reference, section 4.
 */
export function metadataObject(trace: RoutingTrace, result: RoutingResult): Readonly<Record<string, unknown>> {
  const selected = trace.scored[result.selected];
  const { cost } = result;
  return {
    routing_results: {
      selected_provider: selected?.provider ?? null,
      selected_upstream: selected?.upstreamId ?? null,
      selected_model: selected?.modelId ?? null,
      applied_filters: trace.appliedFilters,
      cost:
        cost === null
          ? null
          : {
              prompt_cost: usd(cost.promptNanoUsd),
              completion_cost: usd(cost.completionNanoUsd),
              total_cost: usd(cost.promptNanoUsd + cost.completionNanoUsd),
              currency: 'USD',
            },
      latency_ms: Math.round(result.latencyMs),
    },
    routing_trace: {
      initial_candidates: trace.initial.map(({ provider }) => provider),
      filtered_out_candidates: trace.filteredOut.map(({ upstreamId, provider, modelId, filter, reason }) => ({
        provider,
        upstream: upstreamId,
        model: modelId,
        filter_failed: filter,
        reason,
      })),
      scored_candidates: trace.scored.map(({ upstreamId, provider, modelId, score, costNanoUsd, timeMs }, index) => ({
        provider,
        upstream: upstreamId,
        model: modelId,
        score,
        scoring_context: {
          estimated_cost_usd: costNanoUsd === null ? null : costNanoUsd / NANOS_PER_USD,
          estimated_time_ms: timeMs === null ? null : Math.round(timeMs),
        },
        status: index === result.selected ? 'success' : result.failed.has(index) ? 'failed' : 'not_attempted',
      })),
      // Weights are drawn among, so that the order need not be that of the scores.
      scoring_function: trace.preference === null ? { function: 'weight', sort: 'max' } : { function: trace.preference, sort: 'min' },
    },
  };
}

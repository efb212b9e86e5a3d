import type { RouteCandidate } from './candidates.ts';
import type { InferenceSettings } from './settings.ts';

/**
 * What may keep an upstream from a call, in the order in which it is looked at; the first one that does is the one that is named.
 * `model`: the whole model may not answer. `api`: the upstream speaks another API. `price`: it has none. `reference`: what the call
 * builds on lies elsewhere. The rest are settings and limits by their names on the wire.
 */
export type FilterName =
  | 'model'
  | 'api'
  | 'price'
  | 'reference'
  | 'allowed_providers'
  | 'eu_native'
  | 'allow_zero_data_retention'
  | 'allow_quantization'
  | 'context_length'
  | 'output_limit';

/** Why an upstream may not answer a call. `reason` is one sentence for people. */
export interface FilterVerdict {
  readonly filter: FilterName;
  readonly reason: string;
}

/** An upstream, or with null a whole model, that a filter took out of a call. */
export interface FilteredOut extends FilterVerdict {
  readonly upstreamId: string | null;
  readonly provider: string | null;
  readonly modelId: string;
}

/** What the upstreams of one model are held against. Token counts. */
export interface CandidateRules {
  readonly modelId: string;
  /** What holds for the call; null where neither its project nor it has set anything. */
  readonly settings: InferenceSettings | null;
  /** The prompt by our nearest count, as far as its size is known; null where it is no single prompt, or has no size in tokens. */
  readonly promptTokens: number | null;
  /** What the caller limits each answer to; null where it set no limit. */
  readonly outputTokens: number | null;
  /** The context that an upstream without one of its own has; null where nobody holds the call against it. */
  readonly contextTokens: number | null;
}

/**
 * Parts the upstreams of a model into those that may answer the call and those that may not, each with the first filter that took it out.
 * The order stays.
 *
 * A provider's name counts letter by letter. Zero data retention is a retention of 0 days, declared: an upstream that declares none may
 * keep what it likes. An upstream that is too small for the prompt together with the caller's own output limit is left out, and so is one
 * that cannot give as much output as the caller asks for; a default limit of ours is lowered instead. Source: Cortecs reference, section 4.
 */
export function filterCandidates<T extends RouteCandidate>(
  candidates: readonly T[],
  rules: CandidateRules,
): { readonly left: readonly T[]; readonly filteredOut: readonly FilteredOut[] } {
  const { settings } = rules;
  const allowed = settings?.allowedProviders ?? null;
  const providers = allowed === null ? null : new Set(allowed);
  const left: T[] = [];
  const filteredOut: FilteredOut[] = [];
  for (const candidate of candidates) {
    const verdict = (settings === null ? null : judgeBySettings(candidate, settings, providers)) ?? judgeBySize(candidate, rules);
    if (verdict === null) left.push(candidate);
    else filteredOut.push({ upstreamId: candidate.upstream.id, provider: candidate.upstream.provider, modelId: rules.modelId, ...verdict });
  }
  return { left, filteredOut };
}

function judgeBySettings(
  { upstream }: RouteCandidate,
  settings: InferenceSettings,
  providers: ReadonlySet<string> | null,
): FilterVerdict | null {
  if (providers !== null && !providers.has(upstream.provider))
    return { filter: 'allowed_providers', reason: `The provider ${upstream.provider} is not among the allowed ones.` };
  if (settings.euNative && !upstream.euNative) return { filter: 'eu_native', reason: 'It is not based and regulated in the EU.' };
  if (settings.allowZeroDataRetention && upstream.retentionDays !== 0) {
    const kept = upstream.retentionDays === null ? 'does not say how long it keeps data' : `keeps data for ${upstream.retentionDays} days`;
    return { filter: 'allow_zero_data_retention', reason: `It ${kept}.` };
  }
  if (!settings.allowQuantization && upstream.quantized) return { filter: 'allow_quantization', reason: 'It serves the model quantized.' };
  return null;
}

function judgeBySize(candidate: RouteCandidate, { promptTokens, outputTokens, contextTokens }: CandidateRules): FilterVerdict | null {
  const context = candidate.contextTokens ?? contextTokens;
  if (context !== null && promptTokens !== null && promptTokens + (outputTokens ?? 0) > context) {
    const asked = outputTokens === null ? '' : ` and ${outputTokens} of output`;
    return { filter: 'context_length', reason: `About ${promptTokens} tokens of prompt${asked} are more than its context of ${context}.` };
  }
  const most = candidate.maxOutputTokens ?? null;
  if (most === null || outputTokens === null || outputTokens <= most) return null;
  return { filter: 'output_limit', reason: `It gives at most ${most} tokens of output, and the call asks for ${outputTokens}.` };
}

/** How many upstreams a refusal names. */
const MAX_NAMED = 20;

/** What was taken out of a call, in words: `scw (scaleway): eu_native, ...`. At most twenty are named. */
export function describeFilteredOut(filteredOut: readonly FilteredOut[]): string {
  const named = filteredOut.slice(0, MAX_NAMED).map(({ upstreamId, provider, modelId, filter, reason }) => {
    const who = upstreamId === null ? `the model ${modelId}` : `${upstreamId} (${provider})`;
    return `${filter} removed ${who}: ${reason}`;
  });
  const more = filteredOut.length - named.length;
  return [...named, ...(more > 0 ? [`and ${more} more.`] : [])].join(' ');
}

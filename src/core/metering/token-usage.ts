/**
 * What an upstream says a call used, whatever names it uses for it.
 *
 * Counts are numbers, not bigints: they are compared and added on every chunk of a stream, and `MAX_CALL_TOKENS` keeps them far inside
 * the safe integers. Nothing that an upstream sends makes these functions throw: what is no count is ignored, what is too large clamped.
 */

/**
 * Tokens of one call. `cachedPromptTokens` is a part of `promptTokens`, `reasoningTokens` a part of `completionTokens`; each is null
 * where the upstream reported no such detail. `cacheWritePromptTokens`, tokens that the upstream wrote into its cache, is another part of
 * `promptTokens`, absent where none were reported. `totalTokens` is always `promptTokens + completionTokens`.
 */
export interface TokenUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly totalTokens: number;
  readonly cachedPromptTokens: number | null;
  readonly cacheWritePromptTokens?: number;
  readonly reasoningTokens: number | null;
}

/** No call uses more of one kind; what an upstream reports above it counts as this. Ten million times it still fits into int64. */
export const MAX_CALL_TOKENS = 100_000_000_000;

/** Counts as they were found, before the rules that relate them. Null is "not reported". */
export interface ReportedCounts {
  readonly prompt: number | null;
  readonly completion: number | null;
  readonly total: number | null;
  readonly cached: number | null;
  readonly reasoning: number | null;
  readonly cacheWrite: number | null;
}

/**
 * Usage from a parsed answer or event: from its `usage`, else from `response.usage` (Responses events). Null where there is none, that is
 * no object with at least one of the known counts in it.
 *
 * Both families of names are read: prompt/completion with `prompt_tokens_details` and `completion_tokens_details`, and input/output with
 * `input_tokens_details` and `output_tokens_details`. A total without parts (some embeddings and rerankers) counts as input.
 * Source: Tinfoil reference section 5, "Counting".
 */
export function normalizeUsage(answer: unknown): TokenUsage | null {
  const top = asObject(answer);
  if (top === null) return null;
  return usageFromObject(top['usage']) ?? usageFromObject(asObject(top['response'])?.['usage']);
}

/** Usage from the value of a `usage` field; null where that holds no count. Rules as in `normalizeUsage`. */
export function usageFromObject(value: unknown): TokenUsage | null {
  const counts = readCounts(value);
  return counts === null ? null : settleCounts(counts);
}

/**
 * The later of two reports of one call, field by field: a count that is 0 or missing in `next` keeps what `previous` had, so that a stream
 * which is cut, or whose last report is empty, still counts what was seen. Source: Tinfoil reference section 5.
 */
export function mergeUsage(previous: TokenUsage | null, next: TokenUsage): TokenUsage {
  if (previous === null) return next;
  return settleCounts({
    prompt: next.promptTokens || previous.promptTokens,
    completion: next.completionTokens || previous.completionTokens,
    total: null,
    cached: next.cachedPromptTokens || (previous.cachedPromptTokens ?? next.cachedPromptTokens),
    reasoning: next.reasoningTokens || (previous.reasoningTokens ?? next.reasoningTokens),
    cacheWrite: (next.cacheWritePromptTokens || previous.cacheWritePromptTokens) ?? null,
  });
}

/**
 * Usage that we counted ourselves where the upstream reported none; to be flagged as an estimate. A report that says more than we saw
 * wins: `reported` may be a part of it, such as the last continuous report of a stream that was cut.
 */
export function estimateUsage(estimate: { promptTokens: number; completionTokens: number }, reported: TokenUsage | null): TokenUsage {
  return settleCounts({
    prompt: reported?.promptTokens || estimate.promptTokens,
    completion: Math.max(reported?.completionTokens ?? 0, estimate.completionTokens),
    total: null,
    cached: reported?.cachedPromptTokens ?? null,
    reasoning: reported?.reasoningTokens ?? null,
    cacheWrite: reported?.cacheWritePromptTokens ?? null,
  });
}

/**
 * Usage from counts, by the rules that relate them: a total that stands alone is input, parts are at most their whole, and no prompt token
 * is both read from a cache and written into one.
 */
export function settleCounts(counts: ReportedCounts): TokenUsage {
  const parts = (counts.prompt ?? 0) + (counts.completion ?? 0);
  // A total that stands alone is input. Beside its parts it adds nothing, and disagreeing totals would break input + output = all.
  const prompt = clampCount(parts === 0 ? (counts.total ?? 0) : (counts.prompt ?? 0));
  const completion = clampCount(counts.completion ?? 0);
  const cached = counts.cached === null ? null : Math.min(clampCount(counts.cached), prompt);
  const written = Math.min(clampCount(counts.cacheWrite ?? 0), prompt - (cached ?? 0));
  return {
    promptTokens: prompt,
    completionTokens: completion,
    totalTokens: prompt + completion,
    cachedPromptTokens: cached,
    ...(written === 0 ? {} : { cacheWritePromptTokens: written }),
    reasoningTokens: counts.reasoning === null ? null : Math.min(clampCount(counts.reasoning), completion),
  };
}

function readCounts(value: unknown): ReportedCounts | null {
  const usage = asObject(value);
  if (usage === null) return null;
  const inputDetails = asObject(usage['prompt_tokens_details']) ?? asObject(usage['input_tokens_details']);
  const outputDetails = asObject(usage['completion_tokens_details']) ?? asObject(usage['output_tokens_details']);
  const counts = {
    prompt: asCount(usage['prompt_tokens']) ?? asCount(usage['input_tokens']),
    completion: asCount(usage['completion_tokens']) ?? asCount(usage['output_tokens']),
    total: asCount(usage['total_tokens']),
    cached: asCount(inputDetails?.['cached_tokens']),
    reasoning: asCount(outputDetails?.['reasoning_tokens']),
    cacheWrite: asCount(inputDetails?.['cache_write_tokens']),
  };
  return counts.prompt === null && counts.completion === null && counts.total === null ? null : counts;
}

/** A count as JSON brings it: a number, or a bigint where it is past 2^53. Strings and the rest are no counts (null); fractions are cut. */
export function asCount(value: unknown): number | null {
  if (typeof value === 'bigint') return value < 0n ? 0 : MAX_CALL_TOKENS;
  return typeof value === 'number' && !Number.isNaN(value) ? clampCount(value) : null;
}

function clampCount(value: number): number {
  return Math.min(Math.max(Math.trunc(value), 0), MAX_CALL_TOKENS);
}

function asObject(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null;
}

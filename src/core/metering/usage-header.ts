import { renderUsd } from '../pricing/rates.ts';
import { MAX_CALL_TOKENS, settleCounts, type TokenUsage } from './token-usage.ts';

/** Asks for it. Only the value `true` counts. Source: Tinfoil reference section 5. In lower case. */
export const USAGE_REQUEST_HEADER = 'x-tinfoil-request-usage-metrics';

/** The answer: a response header when not streaming, a trailer otherwise. */
export const USAGE_ANSWER_HEADER = 'X-Tinfoil-Usage-Metrics';

/**
 * The value of the usage header, in its fixed order:
 * `prompt=N,completion=N,total=N[,cached_prompt_tokens=N,uncached_prompt_tokens=N][,model=ID][,cost_usd=D]`.
 *
 * The cached pair is there if the upstream reported details, `model` unless it is null, `cost_usd` (decimal, no exponent) unless
 * `costNanoUsd` is null, that is for a model without a price. Source: Tinfoil reference section 5, "Opt-in header".
 */
export function usageHeaderValue(usage: TokenUsage, call: { readonly model: string | null; readonly costNanoUsd: bigint | null }): string {
  let value = `prompt=${usage.promptTokens},completion=${usage.completionTokens},total=${usage.totalTokens}`;
  if (usage.cachedPromptTokens !== null) {
    const cached = Math.min(usage.cachedPromptTokens, usage.promptTokens);
    value += `,cached_prompt_tokens=${cached},uncached_prompt_tokens=${usage.promptTokens - cached}`;
  }
  if (call.model !== null) value += `,model=${headerSafe(call.model)}`;
  if (call.costNanoUsd !== null) value += `,cost_usd=${renderUsd(call.costNanoUsd)}`;
  return value;
}

/** What an upstream says of a call in its usage header or trailer. `model` is what it calls it, null where it does not say. */
export interface ReportedUsage {
  readonly usage: TokenUsage;
  readonly model: string | null;
}

const COUNT = /^\d{1,15}$/;

/**
 * Reads what {@link usageHeaderValue} writes, from whichever server; null for anything else. `prompt` or `total` must be there, and no field
 * twice: who says two things of one call has said nothing. An answer without a count of its own is what the total has beyond the prompt. Fields
 * that are not known are passed over, and so is the cost, which is not ours.
 */
export function readUsageHeader(value: string): ReportedUsage | null {
  const fields = new Map<string, string>();
  for (const field of value.split(',')) {
    const at = field.indexOf('=');
    const name = field.slice(0, at).trim();
    if (at < 1 || fields.has(name)) return null;
    fields.set(name, field.slice(at + 1).trim());
  }
  const counts = new Map<string, number>();
  for (const name of ['prompt', 'completion', 'total', 'cached_prompt_tokens']) {
    const text = fields.get(name);
    if (text === undefined) continue;
    if (!COUNT.test(text)) return null;
    counts.set(name, Math.min(Number(text), MAX_CALL_TOKENS));
  }
  if (!counts.has('prompt') && !counts.has('total')) return null;
  const prompt = counts.get('prompt') ?? null;
  const ofTotal = prompt === null ? null : Math.max(0, (counts.get('total') ?? 0) - prompt);
  const usage = settleCounts({
    prompt,
    completion: counts.get('completion') ?? ofTotal,
    total: counts.get('total') ?? null,
    cached: counts.get('cached_prompt_tokens') ?? null,
    reasoning: null,
    cacheWrite: null,
  });
  return { usage, model: fields.get('model') ?? null };
}

/** A model id may be any text; in a header, what is not visible ASCII, and the comma that parts the fields, would break the value. */
export function headerSafe(text: string): string {
  return text.replace(/[^\x21-\x7e]|,/g, '_');
}

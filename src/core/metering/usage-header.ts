import { renderUsd } from '../pricing/rates.ts';
import type { TokenUsage } from './token-usage.ts';

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

/** A model id may be any text; in a header, what is not visible ASCII, and the comma that parts the fields, would break the value. */
function headerSafe(text: string): string {
  return text.replace(/[^\x21-\x7e]|,/g, '_');
}

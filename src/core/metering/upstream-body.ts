import { stringifyJson } from '../json/int64.ts';
import type { Dialect } from '../records.ts';

/** The fields that limit output. A field that the caller used is kept; otherwise the kind of call or the model says which one to send. */
export type OutputLimitField = 'max_tokens' | 'max_completion_tokens' | 'max_output_tokens';

/** How a caller's body becomes the upstream's. */
export interface UpstreamBodyOptions {
  /** The caller's body: a parsed and validated JSON object. It is not changed. */
  readonly body: Readonly<Record<string, unknown>>;
  /** What the chosen upstream calls the model. */
  readonly upstreamModel: string;
  /** The upstream takes vLLM's `continuous_usage_stats`. Strict upstreams refuse options they do not know. */
  readonly continuousUsage: boolean;
  /** The API that it is sent in; OpenAI's where it is not given. Anthropic's knows no stream options: its streams always report. */
  readonly dialect?: Dialect;
  /** An output limit to send because the caller sent none; null to send nothing. */
  readonly outputLimit: { readonly field: OutputLimitField; readonly tokens: number } | null;
}

/** What to send, and what of the answer's usage the caller asked to see. */
export interface UpstreamBody {
  readonly text: string;
  /** The answer is a stream whose usage chunks the caller did not ask for; see `SseUsageScanner`. */
  readonly hideUsage: boolean;
}

/** Fields for the upstream's scheduler and cache that a caller must not set. Source: Tinfoil reference section 5. */
export const STRIPPED_FIELDS: ReadonlySet<string> = new Set(['priority', 'cache_salt']);

/**
 * The body to send upstream: the caller's, with the upstream's model name, without `priority` and `cache_salt`, with an output limit where
 * the caller gave none, and for a stream in OpenAI's API with `stream_options.include_usage` (and `continuous_usage_stats` where the upstream takes it).
 *
 * The text is written anew, so that what we bounded is what the upstream reads: of a key that came twice only the last is left. Integers
 * keep all their digits. `outputLimit` is ignored where the body has a limit already. Source: Tinfoil reference section 5, "Counting".
 */
export function mergeStreamOptions(options: UpstreamBodyOptions): UpstreamBody {
  const { body, outputLimit } = options;
  const merged: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(body)) if (!STRIPPED_FIELDS.has(name)) merged[name] = value;
  merged['model'] = options.upstreamModel;
  if (outputLimit !== null && !hasOutputLimit(body)) {
    // A null limit is the caller's way to say "none"; upstreams that refuse null must not see it beside ours.
    delete merged['max_tokens'];
    delete merged['max_completion_tokens'];
    merged[outputLimit.field] = outputLimit.tokens;
  }
  if (body['stream'] !== true || options.dialect === 'anthropic') return { text: stringifyJson(merged), hideUsage: false };

  const asked = (body['stream_options'] ?? {}) as Readonly<Record<string, unknown>>;
  const streamOptions: Record<string, unknown> = { ...asked, include_usage: true };
  if (options.continuousUsage) streamOptions['continuous_usage_stats'] = true;
  merged['stream_options'] = streamOptions;
  const hideUsage = asked['include_usage'] !== true && asked['continuous_usage_stats'] !== true;
  return { text: stringifyJson(merged), hideUsage };
}

/** Whether the caller set an output limit of its own, by either name. */
function hasOutputLimit(body: Readonly<Record<string, unknown>>): boolean {
  return isGiven(body['max_tokens']) || isGiven(body['max_completion_tokens']);
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

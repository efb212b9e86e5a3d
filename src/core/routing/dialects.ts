import type { InferenceKind } from '../bounds/inference-request.ts';
import type { Dialect, Upstream } from '../records.ts';

/** Every API that an upstream may speak. */
export const DIALECTS: readonly Dialect[] = ['openai', 'anthropic'];

/** The API that a kind of call is made in, and so the one that its upstream has to speak. */
export const dialectOf = (kind: InferenceKind): Dialect => (kind === 'messages' || kind === 'count_tokens' ? 'anthropic' : 'openai');

/** The APIs that an upstream answers. One that does not say speaks OpenAI's; the demo upstream speaks all. */
export const dialectsOf = (upstream: Pick<Upstream, 'kind' | 'speaks'>): readonly Dialect[] =>
  upstream.speaks ?? (upstream.kind === 'demo' ? DIALECTS : ['openai']);

/** What is wrong with a declared list of APIs, as words that complete "must ..."; null where it is right. */
export function dialectsFault(speaks: readonly Dialect[]): string | null {
  if (speaks.length === 0) return 'name at least one of openai and anthropic';
  return new Set(speaks).size === speaks.length ? null : 'name each of openai and anthropic at most once';
}

import type { MetObject } from '../../core/calls/upstream-object.ts';
import type { MediaUse } from '../../core/metering/media-use.ts';
import { utf8Length } from '../../core/metering/utf8-length.ts';
import { estimateUsage, type TokenUsage } from '../../core/metering/token-usage.ts';
import { MAX_TOKENIZED_BYTES } from '../../core/bounds/bound-request.ts';
import { hasNoOutputLimit } from '../../core/bounds/media-bound.ts';
import type { InferenceKind } from '../../core/bounds/inference-request.ts';
import type { Tokenizer } from '../../ports/tokenizer.ts';

/** About how many bytes of text a token has, low for English. */
const BYTES_PER_TOKEN = 3;

/** A tokenizer as a function; null where there is none. */
export const countWith = (tokenizer: Tokenizer | null): ((text: string) => number) | null =>
  tokenizer === null ? null : (text) => tokenizer.count(text);

/** What a call used, and whether we had to count it ourselves. */
export interface CountedUsage {
  readonly usage: TokenUsage;
  readonly estimated: boolean;
  /** What it used beside tokens. */
  readonly media?: MediaUse;
  /** What its upstream keeps of it, to be remembered with its settlement. */
  readonly objects?: readonly MetObject[];
}

/**
 * The usage of an answer that came whole: what the upstream reported, else the prompt's count and the tokens of `outputText`. Where the
 * text could not be read (null) its bytes are counted, up to what the hold paid for. Embeddings have no output; speech, transcriptions and
 * images that report nothing used no tokens.
 */
export function wholeUsage(answer: {
  readonly kind: InferenceKind;
  readonly reported: TokenUsage | null;
  readonly promptTokens: number;
  readonly outputText: () => string | null;
  readonly bytesSeen: number;
  readonly heldOutput: bigint;
  readonly tokenizer: Tokenizer | null;
}): CountedUsage {
  if (answer.reported !== null) return { usage: answer.reported, estimated: false };
  if (hasNoOutputLimit(answer.kind)) return { usage: estimateUsage({ promptTokens: 0, completionTokens: 0 }, null), estimated: false };
  const completionTokens = answer.kind === 'embeddings' ? 0 : countOutput(answer);
  return { usage: estimateUsage({ promptTokens: answer.promptTokens, completionTokens }, null), estimated: true };
}

function countOutput(answer: Parameters<typeof wholeUsage>[0]): number {
  const text = answer.outputText();
  if (text === null) return Math.min(Math.ceil(answer.bytesSeen / BYTES_PER_TOKEN), Number(answer.heldOutput));
  const bytes = utf8Length(text);
  // A tokenizer run over more would stop every other call for too long.
  return answer.tokenizer === null || bytes > MAX_TOKENIZED_BYTES ? Math.ceil(bytes / BYTES_PER_TOKEN) : answer.tokenizer.count(text);
}

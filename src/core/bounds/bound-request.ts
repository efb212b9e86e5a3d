/**
 * How many tokens a request can use at most: what a hold is made for. Source: architecture section 8, step 4.
 *
 * The property that matters: actual ≤ bound, for every request and every upstream that keeps to its model's declaration.
 */
import type { OutputLimitField } from '../metering/upstream-body.ts';
import { utf8Length } from '../metering/utf8-length.ts';
import type { Model } from '../records.ts';
import type { InferenceKind, InferenceRequest, RequestDefect } from './inference-request.ts';
import type { MediaBound } from '../metering/media-use.ts';
import { boundMediaUse, hasManyPrompts, hasNoOutputLimit, requestParts } from './media-bound.ts';
import type { MediaKind, PromptParts } from './prompt-parts.ts';

/** What of a model bounds its calls. */
export type ModelLimits = Pick<
  Model,
  | 'contextTokens'
  | 'maxOutputTokens'
  | 'defaultOutputTokens'
  | 'outputLimitField'
  | 'promptOverheadTokens'
  | 'marginPercent'
  | 'maxImageTokens'
  | 'maxAudioTokens'
  | 'maxFileTokens'
  | 'maxAudioSeconds'
>;

/** The most that a call can use. All counts are tokens. */
export interface RequestBound {
  readonly inputTokens: number;
  /** Answers that may each be as long as the output limit. 0 where there is no output at all. */
  readonly choices: number;
  /** The limit of each answer. */
  readonly outputPerChoice: number;
  /** The least that `outputPerChoice` may be lowered to where the accounts leave less; equal to it where the caller set the limit. */
  readonly minOutputPerChoice: number;
  /** The field by which the limit must be sent upstream, because it is the model's default and not the caller's; else null. */
  readonly sendLimitAs: OutputLimitField | null;
  /** What it can use beside tokens; absent where its kind uses nothing of the sort. */
  readonly media?: MediaBound;
}

/** A bound, or what in the request cannot be bounded because it breaks a rule. */
export type RequestBoundResult =
  /**
   * `promptTokens` is what `estimatePromptTokens` gives, from the same run of the tokenizer; `sizedTokens` the part of it whose size is
   * known: without the context that media without a declared maximum counts as.
   */
  | { readonly ok: true; readonly bound: RequestBound; readonly promptTokens: number; readonly sizedTokens: number }
  | { readonly ok: false; readonly defect: RequestDefect };

const NOTHING: RequestBound = { inputTokens: 0, choices: 0, outputPerChoice: 0, minOutputPerChoice: 0, sendLimitAs: null };

/** A default output limit is never lowered below this: shorter answers help nobody. */
const MIN_OUTPUT_TOKENS = 16;

/** Above this much text a tokenizer would stop the event loop for too long; bytes bound it instead. */
export const MAX_TOKENIZED_BYTES = 65_536;

/** Kinds that know one name for the limit of their output, whatever the model declares for chat. */
const LIMIT_FIELDS: ReadonlyMap<InferenceKind, OutputLimitField> = new Map([
  ['completions', 'max_tokens'],
  ['responses', 'max_output_tokens'],
]);

/** Tokens that a chat template puts around one message, generously. Source: architecture section 8 ("bytes plus 16 a message"). */
const MESSAGE_BYTES = 16;
const MESSAGE_TOKENS = 8;

/** The same for an estimate, which should be near and not safe. */
const ESTIMATED_MESSAGE_TOKENS = 4;
const ESTIMATED_BYTES_PER_TOKEN = 4;

/**
 * Bounds a request for a model.
 *
 * Input, with `countTokens` (the model's declared tokenizer): its count of all text, 8 a message, half as much again for JSON that a chat
 * template prints with more white space than we see, then `marginPercent`, then `promptOverheadTokens`. Without one, or for more than
 * 64 KiB of text: a token a byte (no byte-level tokenizer makes more) plus 16 a message plus the overhead, and not more than the context,
 * which no upstream reads past. Each image, audio or file adds its declared maximum; what has none counts as the
 * model's context, once.
 *
 * A count of tokens uses nothing: no model runs for it.
 *
 * Output: the caller's limit for each answer, else the model's default, which may be lowered to `minOutputPerChoice`. A limit above what
 * the model can produce is refused rather than lowered (the caller's own field as the `param`). Speech, transcriptions and images have no
 * such field: for each answer (image) they count as all that the model can produce. What they use beside tokens is bounded in `media`.
 */
export function boundRequest(
  request: InferenceRequest,
  model: ModelLimits,
  countTokens: ((text: string) => number) | null,
): RequestBoundResult {
  const { outputLimit } = request;
  if (request.kind === 'count_tokens') return { ok: true, promptTokens: 0, sizedTokens: 0, bound: NOTHING };
  if (outputLimit !== null && outputLimit > model.maxOutputTokens) {
    const named = ['max_completion_tokens', 'max_output_tokens'].find((field) => request.body[field] === outputLimit);
    const param = named ?? 'max_tokens';
    const message = `${param} is too large: ${outputLimit}. This model produces at most ${model.maxOutputTokens} tokens.`;
    return { ok: false, defect: { param, code: 'invalid_value', message } };
  }
  const { bound: inputTokens, estimate: promptTokens, sized: sizedTokens } = measurePrompt(request, model, countTokens);
  if (request.kind === 'embeddings') {
    return { ok: true, promptTokens, sizedTokens, bound: { ...NOTHING, inputTokens } };
  }
  const { choices } = request;
  if (hasNoOutputLimit(request.kind)) {
    const output = { choices, outputPerChoice: model.maxOutputTokens, minOutputPerChoice: model.maxOutputTokens, sendLimitAs: null };
    const media = boundMediaUse(request, model);
    // What no upstream reports of media is no tokens at all, so there is nothing to estimate.
    return { ok: true, promptTokens: 0, sizedTokens: 0, bound: { inputTokens, ...output, ...(media === null ? {} : { media }) } };
  }
  if (outputLimit !== null) {
    return {
      ok: true,
      promptTokens,
      sizedTokens,
      bound: { inputTokens, choices, outputPerChoice: outputLimit, minOutputPerChoice: outputLimit, sendLimitAs: null },
    };
  }
  const outputPerChoice = Math.min(Math.max(model.defaultOutputTokens, MIN_OUTPUT_TOKENS), model.maxOutputTokens);
  const minOutputPerChoice = Math.min(MIN_OUTPUT_TOKENS, outputPerChoice);
  const sendLimitAs = LIMIT_FIELDS.get(request.kind) ?? model.outputLimitField;
  return { ok: true, promptTokens, sizedTokens, bound: { inputTokens, choices, outputPerChoice, minOutputPerChoice, sendLimitAs } };
}

/**
 * The prompt's tokens as nearly as we can tell, without margin: for calls whose upstream reported nothing. With a tokenizer its count and
 * 4 a message; without one, a token for four bytes. Media counts as its declared maximum. Never above the bound.
 */
export function estimatePromptTokens(
  request: InferenceRequest,
  model: ModelLimits,
  countTokens: ((text: string) => number) | null,
): number {
  return measurePrompt(request, model, countTokens).estimate;
}

function measurePrompt(
  request: InferenceRequest,
  model: ModelLimits,
  countTokens: ((text: string) => number) | null,
): { readonly bound: number; readonly estimate: number; readonly sized: number } {
  const parts = requestParts(request);
  const media = boundMedia(parts.media, model);
  const exact = parts.tokenCount + media.tokens;
  const bytes = textBytes(parts);
  const framing = parts.messages * ESTIMATED_MESSAGE_TOKENS;
  let bound: number;
  let estimate: number;
  if (countTokens === null || bytes > MAX_TOKENIZED_BYTES) {
    // A chat is one prompt and ends at the context; inputs of an embedding are a prompt each.
    const prompts = hasManyPrompts(request.kind) ? parts.messages : 1;
    bound = Math.min(bytes + parts.messages * MESSAGE_BYTES, model.contextTokens * prompts);
    estimate = Math.ceil(bytes / ESTIMATED_BYTES_PER_TOKEN) + framing;
  } else {
    // One run over the joined text, not one a part: the tokenizer bounds its own time per run.
    const text = parts.texts.length === 0 ? 0 : countTokens(parts.texts.join('\n'));
    const schemas = parts.schemas.length === 0 ? 0 : countTokens(parts.schemas.join('\n'));
    const counted = text + Math.ceil(schemas * 1.5) + parts.messages * MESSAGE_TOKENS;
    bound = Math.ceil((counted * (100 + model.marginPercent)) / 100);
    estimate = text + schemas + framing;
  }
  const near = Math.min(estimate, bound) + exact;
  return { bound: bound + exact + model.promptOverheadTokens, estimate: near, sized: near - media.unsized };
}

/** What media counts as, and how much of that stands for media of which nobody knows the size. */
function boundMedia(media: readonly MediaKind[], model: ModelLimits): { readonly tokens: number; readonly unsized: number } {
  const maxima: Readonly<Record<MediaKind, number | null>> = {
    image: model.maxImageTokens,
    audio: model.maxAudioTokens,
    file: model.maxFileTokens,
    unknown: null,
  };
  let tokens = 0;
  let unbounded = false;
  for (const kind of media) {
    const most = maxima[kind];
    if (most === null) unbounded = true;
    else tokens += most;
  }
  // The whole prompt ends at the context, so however many parts cannot be bounded, they count once.
  const unsized = unbounded ? model.contextTokens : 0;
  return { tokens: tokens + unsized, unsized };
}

function textBytes(parts: PromptParts): number {
  let bytes = 0;
  for (const text of parts.texts) bytes += utf8Length(text);
  for (const text of parts.schemas) bytes += utf8Length(text);
  return bytes;
}

import { stringifyJson } from '../json/int64.ts';
import { isObject, isTokenArray, type InferenceRequest, type JsonObject } from './inference-request.ts';

/** Media that is bounded by a declared maximum, since neither its bytes nor a text tokenizer tell its tokens. */
export type MediaKind = 'image' | 'audio' | 'file' | 'unknown';

/** Everything of a request that an upstream may turn into prompt tokens. */
export interface PromptParts {
  /** Texts as a model reads them: contents, roles, names, arguments. */
  readonly texts: readonly string[];
  /** JSON texts that a chat template prints in its own way, often with more white space: tools, response formats, unknown fields. */
  readonly schemas: readonly string[];
  /** Tokens that came as numbers. */
  readonly tokenCount: number;
  /** Messages, or separate inputs: each costs a few tokens of framing. */
  readonly messages: number;
  readonly media: readonly MediaKind[];
}

/** Fields whose values steer the answer and never reach the prompt. Anything not listed is counted, so that no new field comes in free. */
const STEERING_FIELDS: ReadonlySet<string> = new Set(
  [
    'model messages prompt input stream stream_options n best_of max_tokens max_completion_tokens echo stop seed user metadata store',
    'temperature top_p top_k min_p frequency_penalty presence_penalty repetition_penalty logit_bias logprobs top_logprobs',
    'service_tier parallel_tool_calls encoding_format dimensions modalities priority cache_salt prompt_cache_key',
    'safety_identifier verbosity reasoning_effort',
  ].flatMap((names) => names.split(' ')),
);

const MEDIA_TYPES: ReadonlyMap<string, MediaKind> = new Map([
  ['image_url', 'image'],
  ['input_image', 'image'],
  ['image', 'image'],
  ['input_audio', 'audio'],
  ['audio', 'audio'],
  ['file', 'file'],
  ['input_file', 'file'],
]);

/** Parts whose tokens are those of their text. */
const TEXT_TYPES: ReadonlySet<string> = new Set(['text', 'input_text', 'output_text', 'refusal', 'thinking', 'reasoning']);

/** Takes a request apart; every string that may reach the prompt is in exactly one of the lists. */
export function promptParts(request: InferenceRequest): PromptParts {
  const parts = { texts: [] as string[], schemas: [] as string[], tokenCount: 0, messages: 0, media: [] as MediaKind[] };
  const { body, kind } = request;
  if (kind === 'chat') {
    for (const message of body['messages'] as readonly JsonObject[]) {
      parts.messages += 1;
      addMessage(parts, message);
    }
  } else {
    addInput(parts, body[kind === 'embeddings' ? 'input' : 'prompt']);
  }
  addOtherFields(parts, body);
  return parts;
}

/** Adds the fields of a body that neither steer the answer nor are among `taken`. */
export function addOtherFields(parts: OpenParts, body: JsonObject, taken: ReadonlySet<string> = new Set()): void {
  for (const [field, value] of Object.entries(body)) {
    if (STEERING_FIELDS.has(field) || taken.has(field)) continue;
    if (typeof value === 'string') parts.texts.push(value);
    else if (typeof value === 'object' && value !== null) parts.schemas.push(stringifyJson(value));
  }
}

/** Parts while they are gathered. */
export interface OpenParts {
  texts: string[];
  schemas: string[];
  tokenCount: number;
  messages: number;
  media: MediaKind[];
}

function addInput(parts: OpenParts, input: unknown): void {
  if (typeof input === 'string') {
    parts.messages += 1;
    parts.texts.push(input);
  } else if (isTokenArray(input)) {
    parts.messages += 1;
    parts.tokenCount += input.length;
  } else {
    for (const item of input as readonly unknown[]) addInput(parts, item);
  }
}

function addMessage(parts: OpenParts, message: JsonObject): void {
  for (const [field, value] of Object.entries(message)) {
    if (typeof value === 'string') parts.texts.push(value);
    else if (field === 'content' && Array.isArray(value)) for (const part of value as readonly JsonObject[]) addContentPart(parts, part);
    else if (field === 'audio' && isObject(value)) parts.media.push('audio');
    else if (typeof value === 'object' && value !== null) parts.schemas.push(stringifyJson(value));
  }
}

/** Adds one content part: its text, or the kind of media that it is. */
export function addContentPart(parts: OpenParts, part: JsonObject): void {
  const type = part['type'] as string;
  const media = MEDIA_TYPES.get(type);
  if (media !== undefined) {
    parts.media.push(media);
    return;
  }
  if (!TEXT_TYPES.has(type)) {
    // Its fields are not counted beside it: as a whole it counts as the context.
    parts.media.push('unknown');
    return;
  }
  for (const [field, value] of Object.entries(part)) {
    if (field !== 'type' && typeof value === 'string') parts.texts.push(value);
  }
}

/**
 * Reads the fields of an OpenAI request that decide what it may cost, and refuses those that cannot be bounded. Requests of Anthropic's
 * API are read by `readMessagesRequest`.
 *
 * Everything else in the body is the upstream's to judge. Values are checked, never changed.
 */

/** What kind of answer a route of OpenAI's API gives. */
export type OpenAiKind = 'chat' | 'completions' | 'embeddings' | 'responses' | 'transcriptions' | 'speech' | 'images';

/** What kind of answer a route of Anthropic's API gives: a message, or only how many tokens its prompt has. */
export type MessagesKind = 'messages' | 'count_tokens';

/** What kind of answer a route gives. */
export type InferenceKind = OpenAiKind | MessagesKind;

/** A JSON object as it was parsed. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Why a body is refused, as OpenAI's error form wants it; the status is 400, the type `invalid_request_error`. */
export interface RequestDefect {
  /** The field, as a path such as `messages[2].content`, or null for the body as a whole. */
  readonly param: string | null;
  readonly code: 'invalid_type' | 'invalid_value' | 'missing_required_parameter';
  /** One sentence that names the field and the rule. */
  readonly message: string;
}

/** The fields that matter for a bound. */
export interface InferenceRequest {
  readonly kind: InferenceKind;
  readonly body: JsonObject;
  readonly model: string;
  readonly stream: boolean;
  /** How many answers of full length may be produced: `n`, `best_of`, and one for each prompt. */
  readonly choices: number;
  /** The caller's own limit of output tokens for one answer; null where it gave none. The larger where it gave both. */
  readonly outputLimit: number | null;
  /** What of an earlier call the request builds on. Absent where a kind knows nothing of the sort. */
  readonly refers?: RequestReferences;
  /** The form that the fields of `body` were read from; absent where the body is JSON. */
  readonly form?: RequestForm;
}

/** Things that an upstream keeps and a request names. `priorTokens` is what they add to the prompt at most; null where nobody knows. */
export interface RequestReferences {
  readonly previousResponseId: string | null;
  readonly itemIds: readonly string[];
  readonly priorTokens: number | null;
}

/** A `multipart/form-data` body with what its fields say of it. `fileBytes` is the length of the file that it brings. */
export interface RequestForm {
  readonly bytes: Uint8Array;
  readonly parts: readonly FormPart[];
  readonly fileBytes: number;
}

/** One part of a form. The offsets are those of its value and of all of it, up to the next delimiter, in the whole body. */
export interface FormPart {
  readonly name: string;
  readonly isFile: boolean;
  readonly valueStart: number;
  readonly valueEnd: number;
  readonly start: number;
  readonly end: number;
}

/** A request that keeps the rules, or the first defect, in the order of the fields as they are read. */
export type InferenceRequestResult =
  | { readonly ok: true; readonly request: InferenceRequest }
  | { readonly ok: false; readonly defect: RequestDefect };

/** The most answers that one request may ask for. Source: OpenAI API reference, `n`. */
export const MAX_CHOICES = 128;
/** Output limits above this are mistakes, whatever the model. */
export const MAX_OUTPUT_LIMIT = 2_147_483_647;
/** Longest id of a model in a request. */
export const MAX_MODEL_CHARS = 256;

/**
 * Reads a parsed body, or returns its first defect. Never throws.
 *
 * Order of the checks: the body, `model`, `stream`, `stream_options`, `messages` / `prompt` / `input`, `n`, `best_of`, `max_tokens`,
 * `max_completion_tokens`. A null stands for an absent field, as OpenAI's clients send it; `model` and the input are required.
 */
export function readInferenceRequest(kind: OpenAiKind, body: unknown): InferenceRequestResult {
  if (!isObject(body)) return refuse(null, 'invalid_type', 'The body must be a JSON object.');
  const defect = checkModel(body) ?? checkStream(body, kind) ?? checkInput(body, kind);
  if (defect !== null) return { ok: false, defect };
  const model = body['model'] as string;
  if (kind === 'embeddings') return { ok: true, request: { kind, body, model, stream: false, choices: 1, outputLimit: null } };

  let answers = 1;
  for (const field of ['n', 'best_of'] as const) {
    const count = readCount(body, field, MAX_CHOICES);
    if (typeof count === 'object' && count !== null) return { ok: false, defect: count };
    answers = Math.max(answers, count ?? 1);
  }
  let outputLimit: number | null = null;
  for (const field of ['max_tokens', 'max_completion_tokens'] as const) {
    const limit = readCount(body, field, MAX_OUTPUT_LIMIT);
    if (typeof limit === 'object' && limit !== null) return { ok: false, defect: limit };
    if (limit !== null) outputLimit = Math.max(outputLimit ?? 0, limit);
  }
  const choices = answers * (kind === 'completions' ? countPrompts(body['prompt']) : 1);
  return { ok: true, request: { kind, body, model, stream: body['stream'] === true, choices, outputLimit } };
}

/** What is wrong with `model`, or null. */
export function checkModel(body: JsonObject): RequestDefect | null {
  const model = body['model'];
  if (model === undefined || model === null) return defectOf('model', 'missing_required_parameter', 'You must provide a model.');
  if (typeof model !== 'string') return defectOf('model', 'invalid_type', 'model must be a string.');
  if (model === '' || model.length > MAX_MODEL_CHARS) {
    return defectOf('model', 'invalid_value', `model must have 1 to ${MAX_MODEL_CHARS} characters.`);
  }
  return null;
}

/** The first defect of `stream` and `stream_options`. */
export function checkStream(body: JsonObject, kind: OpenAiKind): RequestDefect | null {
  const stream = body['stream'];
  if (isGiven(stream) && typeof stream !== 'boolean') return defectOf('stream', 'invalid_type', 'stream must be true or false.');
  if (stream === true && kind === 'embeddings') return defectOf('stream', 'invalid_value', 'Embeddings cannot be streamed.');
  const options = body['stream_options'];
  if (!isGiven(options)) return null;
  if (!isObject(options)) return defectOf('stream_options', 'invalid_type', 'stream_options must be an object.');
  if (stream !== true) return defectOf('stream_options', 'invalid_value', 'stream_options is only allowed when stream is true.');
  for (const field of ['include_usage', 'continuous_usage_stats'] as const) {
    const value = options[field];
    if (isGiven(value) && typeof value !== 'boolean') {
      return defectOf(`stream_options.${field}`, 'invalid_type', `stream_options.${field} must be true or false.`);
    }
  }
  return null;
}

function checkInput(body: JsonObject, kind: OpenAiKind): RequestDefect | null {
  if (kind === 'chat') return checkMessages(body['messages']);
  const field = kind === 'embeddings' ? 'input' : 'prompt';
  const value = body[field];
  if (!isGiven(value)) return defectOf(field, 'missing_required_parameter', `${field} is required.`);
  if (typeof value === 'string' || isTokenArray(value)) return checkNotEmpty(field, value);
  const rule = `${field} must be a string, an array of strings, an array of token numbers, or an array of such arrays.`;
  if (!Array.isArray(value)) return defectOf(field, 'invalid_type', rule);
  const items = value as readonly unknown[];
  if (items.length === 0) return defectOf(field, 'invalid_value', `${field} must not be empty.`);
  const strings = typeof items[0] === 'string';
  for (const [index, item] of items.entries()) {
    const fits = strings ? typeof item === 'string' : isTokenArray(item);
    if (!fits) return defectOf(`${field}[${index}]`, 'invalid_type', rule);
  }
  return null;
}

function checkNotEmpty(field: string, value: string | readonly unknown[]): RequestDefect | null {
  return Array.isArray(value) && value.length === 0 ? defectOf(field, 'invalid_value', `${field} must not be empty.`) : null;
}

function checkMessages(messages: unknown): RequestDefect | null {
  if (!isGiven(messages)) return defectOf('messages', 'missing_required_parameter', 'messages is required.');
  if (!Array.isArray(messages)) return defectOf('messages', 'invalid_type', 'messages must be an array.');
  if (messages.length === 0) return defectOf('messages', 'invalid_value', 'messages must not be empty.');
  for (const [index, message] of (messages as readonly unknown[]).entries()) {
    const at = `messages[${index}]`;
    if (!isObject(message)) return defectOf(at, 'invalid_type', `${at} must be an object.`);
    if (typeof message['role'] !== 'string') return defectOf(`${at}.role`, 'invalid_type', `${at}.role must be a string.`);
    const content = message['content'];
    if (!isGiven(content) || typeof content === 'string') continue;
    if (!Array.isArray(content)) {
      return defectOf(`${at}.content`, 'invalid_type', `${at}.content must be a string or an array of content parts.`);
    }
    for (const [part, value] of (content as readonly unknown[]).entries()) {
      if (!isObject(value) || typeof value['type'] !== 'string') {
        return defectOf(`${at}.content[${part}]`, 'invalid_type', `${at}.content[${part}] must be an object with a type.`);
      }
    }
  }
  return null;
}

/** A whole number from `min` to `max`; null where it is absent. */
export function readCount(body: JsonObject, field: string, max: number, min = 1): number | null | RequestDefect {
  const value = body[field];
  if (!isGiven(value)) return null;
  const rule = `${field} must be a whole number from ${min} to ${max}.`;
  if (typeof value === 'bigint') return defectOf(field, 'invalid_value', rule);
  if (typeof value !== 'number') return defectOf(field, 'invalid_type', rule);
  return Number.isInteger(value) && value >= min && value <= max ? value : defectOf(field, 'invalid_value', rule);
}

function countPrompts(prompt: unknown): number {
  if (!Array.isArray(prompt)) return 1;
  return isTokenArray(prompt) ? 1 : (prompt as readonly unknown[]).length;
}

/** An array of token numbers. An empty array is one too: it holds nothing that is anything else. */
export function isTokenArray(value: unknown): value is readonly number[] {
  return Array.isArray(value) && (value as readonly unknown[]).every((item) => typeof item === 'number' && Number.isInteger(item));
}

/** An object that is neither null nor an array. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a field holds anything: OpenAI's clients send null for what is absent. */
export function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null;
}

/** A {@link RequestDefect}. */
export function defectOf(param: string | null, code: RequestDefect['code'], message: string): RequestDefect {
  return { param, code, message };
}

function refuse(param: string | null, code: RequestDefect['code'], message: string): { ok: false; defect: RequestDefect } {
  return { ok: false, defect: defectOf(param, code, message) };
}

/**
 * Reads the fields of a request to `/responses` that decide what it may cost and what it builds on. Source: OpenAI API reference,
 * "Create a model response".
 */
import {
  checkModel,
  checkStream,
  defectOf,
  isGiven,
  isObject,
  MAX_OUTPUT_LIMIT,
  readCount,
  type InferenceRequestResult,
  type JsonObject,
  type RequestDefect,
} from './inference-request.ts';

/** What an id of a stored response, or of an item of one, may look like. It becomes a part of a path. */
export const OBJECT_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/;
/** A request that refers to more than this many items is a mistake. */
export const MAX_REFERENCES = 1000;

/** Whether `id` can be the id of something that an upstream keeps. */
export const isObjectId = (id: string): boolean => OBJECT_ID.test(id);

/**
 * Reads a parsed body, or returns its first defect. Never throws.
 *
 * Order of the checks: the body, `model`, `stream`, `stream_options`, `store`, `background`, `conversation`, `previous_response_id`,
 * `input`, `max_output_tokens`. `input` may be absent where the request builds on an earlier response or a stored prompt. Conversations
 * are refused: they live at one upstream for all of its callers, and nobody could tell whose they are.
 */
export function readResponsesRequest(body: unknown): InferenceRequestResult {
  if (!isObject(body)) return { ok: false, defect: defectOf(null, 'invalid_type', 'The body must be a JSON object.') };
  const itemIds: string[] = [];
  const defect =
    checkModel(body) ??
    checkStream(body, 'responses') ??
    checkFlag(body, 'store') ??
    checkFlag(body, 'background') ??
    checkBackground(body) ??
    checkConversation(body) ??
    checkPrevious(body['previous_response_id']) ??
    checkInput(body, itemIds);
  if (defect !== null) return { ok: false, defect };
  const outputLimit = readCount(body, 'max_output_tokens', MAX_OUTPUT_LIMIT);
  if (typeof outputLimit === 'object' && outputLimit !== null) return { ok: false, defect: outputLimit };
  const previous = body['previous_response_id'];
  return {
    ok: true,
    request: {
      kind: 'responses',
      body,
      model: body['model'] as string,
      stream: body['stream'] === true,
      choices: 1,
      outputLimit,
      refers: { previousResponseId: typeof previous === 'string' ? previous : null, itemIds, priorTokens: null },
    },
  };
}

function checkFlag(body: JsonObject, field: string): RequestDefect | null {
  const value = body[field];
  return isGiven(value) && typeof value !== 'boolean' ? defectOf(field, 'invalid_type', `${field} must be true or false.`) : null;
}

/** What goes on without its caller must be kept for it, or nobody could ever learn what came of it. */
function checkBackground(body: JsonObject): RequestDefect | null {
  if (body['background'] !== true || body['store'] !== false) return null;
  return defectOf('store', 'invalid_value', 'store must not be false where background is true.');
}

function checkConversation(body: JsonObject): RequestDefect | null {
  if (!isGiven(body['conversation'])) return null;
  return defectOf('conversation', 'invalid_value', 'conversation is not supported here; build on an answer with previous_response_id.');
}

function checkPrevious(id: unknown): RequestDefect | null {
  if (!isGiven(id)) return null;
  if (typeof id !== 'string') return defectOf('previous_response_id', 'invalid_type', 'previous_response_id must be a string.');
  return isObjectId(id)
    ? null
    : defectOf('previous_response_id', 'invalid_value', 'previous_response_id must be the id of a response, such as resp_123.');
}

function checkInput(body: JsonObject, itemIds: string[]): RequestDefect | null {
  const input = body['input'];
  if (!isGiven(input)) {
    const buildsOn = isGiven(body['previous_response_id']) || isGiven(body['prompt']);
    return buildsOn ? null : defectOf('input', 'missing_required_parameter', 'input is required.');
  }
  if (typeof input === 'string') return null;
  if (!Array.isArray(input)) return defectOf('input', 'invalid_type', 'input must be a string or an array of items.');
  for (const [index, item] of (input as readonly unknown[]).entries()) {
    const defect = checkItem(item, `input[${index}]`, itemIds);
    if (defect !== null) return defect;
  }
  return itemIds.length > MAX_REFERENCES
    ? defectOf('input', 'invalid_value', `input must hold at most ${MAX_REFERENCES} item references.`)
    : null;
}

function checkItem(item: unknown, at: string, itemIds: string[]): RequestDefect | null {
  if (!isObject(item)) return defectOf(at, 'invalid_type', `${at} must be an object.`);
  const { type, id, role, content } = item;
  if (isGiven(type) && typeof type !== 'string') return defectOf(`${at}.type`, 'invalid_type', `${at}.type must be a string.`);
  if (isItemReference(item)) {
    if (typeof id !== 'string' || !isObjectId(id)) return defectOf(`${at}.id`, 'invalid_value', `${at}.id must be the id of an item.`);
    itemIds.push(id);
    return null;
  }
  if (isGiven(role) && typeof role !== 'string') return defectOf(`${at}.role`, 'invalid_type', `${at}.role must be a string.`);
  if (!isGiven(content) || typeof content === 'string') return null;
  if (!Array.isArray(content)) return defectOf(`${at}.content`, 'invalid_type', `${at}.content must be a string or an array of parts.`);
  for (const [index, part] of (content as readonly unknown[]).entries()) {
    if (isObject(part) && typeof part['type'] === 'string') continue;
    return defectOf(`${at}.content[${index}]`, 'invalid_type', `${at}.content[${index}] must be an object with a type.`);
  }
  return null;
}

/** An item that stands for one which the upstream keeps. The type may be left out where nothing but the id is given. */
export const isItemReference = (item: JsonObject): boolean =>
  item['type'] === 'item_reference' || (!isGiven(item['type']) && !isGiven(item['role']) && isGiven(item['id']));

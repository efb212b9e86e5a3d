import {
  checkModel,
  defectOf,
  isGiven,
  isObject,
  MAX_OUTPUT_LIMIT,
  readCount,
  type InferenceRequestResult,
  type JsonObject,
  type MessagesKind,
  type RequestDefect,
} from './inference-request.ts';

/**
 * Reads a parsed body of Anthropic's Messages API, or of its count of tokens, or returns its first defect. Never throws.
 *
 * Order of the checks: the body, `model`, `stream`, `messages`, `system`, `tools`, `fallbacks`, `max_tokens`. `max_tokens` is required of
 * a message and may be 0, which only fills the upstream's cache. Everything else is the upstream's to judge. A null stands for an absent
 * field. What would run another model than the one that was priced (`fallbacks` of Anthropic's kind, a tool with a `model`) is refused; a
 * `fallbacks` that lists ids of models is the router's, which prices them all.
 * Source: Anthropic API reference, Create a Message.
 */
export function readMessagesRequest(kind: MessagesKind, body: unknown): InferenceRequestResult {
  if (!isObject(body)) return refuse(defectOf(null, 'invalid_type', 'The body must be a JSON object.'));
  const defect =
    checkModel(body) ??
    checkStream(body) ??
    checkMessages(body['messages']) ??
    checkSystem(body['system']) ??
    checkTools(body['tools']) ??
    checkFallbacks(body['fallbacks']);
  if (defect !== null) return refuse(defect);
  const model = body['model'] as string;
  if (kind === 'count_tokens') return { ok: true, request: { kind, body, model, stream: false, choices: 1, outputLimit: 0 } };
  const outputLimit = readCount(body, 'max_tokens', MAX_OUTPUT_LIMIT, 0);
  if (outputLimit === null) return refuse(defectOf('max_tokens', 'missing_required_parameter', 'max_tokens is required.'));
  if (typeof outputLimit === 'object') return refuse(outputLimit);
  return { ok: true, request: { kind, body, model, stream: body['stream'] === true, choices: 1, outputLimit } };
}

const refuse = (defect: RequestDefect): InferenceRequestResult => ({ ok: false, defect });

function checkStream(body: JsonObject): RequestDefect | null {
  const stream = body['stream'];
  return isGiven(stream) && typeof stream !== 'boolean' ? defectOf('stream', 'invalid_type', 'stream must be true or false.') : null;
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
    if (!isGiven(content)) return defectOf(`${at}.content`, 'missing_required_parameter', `${at}.content is required.`);
    const defect = checkContent(`${at}.content`, content);
    if (defect !== null) return defect;
  }
  return null;
}

/** A text or a list of blocks; blocks of tool results and documents may hold such a list again. */
function checkContent(at: string, content: unknown): RequestDefect | null {
  if (typeof content === 'string') return null;
  if (!Array.isArray(content)) return defectOf(at, 'invalid_type', `${at} must be a string or an array of content blocks.`);
  for (const [index, block] of (content as readonly unknown[]).entries()) {
    const here = `${at}[${index}]`;
    if (!isObject(block) || typeof block['type'] !== 'string') {
      return defectOf(here, 'invalid_type', `${here} must be an object with a type.`);
    }
    if (block['type'] !== 'tool_result' || !isGiven(block['content'])) continue;
    const defect = checkContent(`${here}.content`, block['content']);
    if (defect !== null) return defect;
  }
  return null;
}

function checkSystem(system: unknown): RequestDefect | null {
  return isGiven(system) ? checkContent('system', system) : null;
}

function checkTools(tools: unknown): RequestDefect | null {
  if (!isGiven(tools)) return null;
  if (!Array.isArray(tools)) return defectOf('tools', 'invalid_type', 'tools must be an array.');
  for (const [index, tool] of (tools as readonly unknown[]).entries()) {
    const at = `tools[${index}]`;
    if (!isObject(tool)) return defectOf(at, 'invalid_type', `${at} must be an object.`);
    if (isGiven(tool['model'])) return otherModel(`${at}.model`);
  }
  return null;
}

function checkFallbacks(fallbacks: unknown): RequestDefect | null {
  const isRouters = Array.isArray(fallbacks) && fallbacks.every((entry) => typeof entry === 'string');
  return isGiven(fallbacks) && !isRouters ? otherModel('fallbacks') : null;
}

const otherModel = (field: string): RequestDefect =>
  defectOf(field, 'invalid_value', `${field} is not supported: it would run a model that this call does not name, and that may cost more.`);

import { isObject, type InferenceRequest, type JsonObject } from '../../core/bounds/inference-request.ts';
import { readMessagesRequest } from '../../core/bounds/messages-request.ts';
import { parseJson, stringifyJson } from '../../core/json/int64.ts';
import { DEMO_MEDIA_TOKENS, DEMO_MODEL_LIMITS } from './demo-model.ts';
import { replyToChat, replyWithText, stableId, type CountTokens, type DemoReply } from './demo-reply.ts';

/** Around each message, before the answer, and for the instructions that come with tools. */
const MESSAGE_FRAME_TOKENS = 3;
const ANSWER_FRAME_TOKENS = 3;
const TOOL_USE_TOKENS = 40;

/** Paths of Anthropic's API below `/v1`. */
const KINDS = { '/messages': 'messages', '/messages/count_tokens': 'count_tokens' } as const;

/** A whole answer: the body is one piece, or an event each for a stream. `usage` is null for errors and counts. */
export interface DemoMessagesAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly pieces: readonly string[];
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number } | null;
}

/** What an answer depends on beside the request: see `DemoSettings`. */
interface MessagesSettings {
  readonly countTokens: CountTokens;
  readonly models: readonly string[] | null;
  readonly reportUsage: boolean;
  readonly text: string | null;
}

/** Whether a path below `/v1` is one of Anthropic's API. */
export const isMessagesPath = (path: string): path is keyof typeof KINDS => Object.hasOwn(KINDS, path);

/**
 * Answers one request in Anthropic's API, plain or as a stream of events; never throws. It repeats the last message or calls a tool, as in
 * a chat. The demo model has no cache, and says so: nothing is read from one or written into one.
 */
export function demoMessagesAnswer(path: keyof typeof KINDS, bodyText: string, settings: MessagesSettings): DemoMessagesAnswer {
  let body: unknown;
  try {
    body = parseJson(bodyText);
  } catch {
    return errorAnswer(400, 'invalid_request_error', 'The body is no JSON.');
  }
  const read = readMessagesRequest(KINDS[path], body);
  if (!read.ok) return errorAnswer(400, 'invalid_request_error', read.defect.message);
  const { request } = read;
  if (settings.models !== null && !settings.models.includes(request.model)) {
    return errorAnswer(404, 'not_found_error', `model: ${request.model}`);
  }
  const promptTokens = countPrompt(request.body, settings.countTokens);
  if (promptTokens > DEMO_MODEL_LIMITS.contextTokens) {
    return errorAnswer(400, 'invalid_request_error', 'The prompt is longer than the context of the model.');
  }
  if (request.kind === 'count_tokens') return json(200, { input_tokens: promptTokens }, null);
  return generate(request, promptTokens, settings);
}

interface Message {
  readonly id: string;
  readonly model: string;
  readonly reply: DemoReply;
  readonly stopReason: string;
  readonly usage: { readonly promptTokens: number; readonly completionTokens: number };
}

const STOP_REASONS: Readonly<Record<DemoReply['finishReason'], string>> = {
  stop: 'end_turn',
  length: 'max_tokens',
  tool_calls: 'tool_use',
};

function generate(request: InferenceRequest, promptTokens: number, settings: MessagesSettings): DemoMessagesAnswer {
  const { body, outputLimit } = request;
  const { countTokens, text, reportUsage } = settings;
  const reply = text === null ? replyToChat(chatBody(body), outputLimit, countTokens) : replyWithText(text, outputLimit, countTokens);
  const usage = { promptTokens, completionTokens: reply.tokens };
  const message: Message = {
    id: `msg_${stableId(stringifyJson(body['messages']))}`,
    model: request.model,
    reply,
    stopReason: STOP_REASONS[reply.finishReason],
    usage,
  };
  if (request.stream)
    return { status: 200, contentType: 'text/event-stream; charset=utf-8', pieces: streamEvents(message, reportUsage), usage };
  const whole = { ...head(message), content: [wholeBlock(reply)], stop_reason: message.stopReason, stop_sequence: null };
  return json(200, { ...whole, ...(reportUsage ? { usage: usageObject(usage) } : {}) }, usage);
}

const head = ({ id, model }: Message): JsonObject => ({ id, type: 'message', role: 'assistant', model });

function wholeBlock({ pieces, toolCall }: DemoReply): JsonObject {
  if (toolCall === null) return { type: 'text', text: pieces.join('') };
  return { type: 'tool_use', id: toolUseId(toolCall.id), name: toolCall.name, input: parseJson(toolCall.arguments) };
}

const toolUseId = (callId: string): string => callId.replace(/^call_/, 'toolu_');

const event = (type: string, fields: JsonObject): string => `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`;

function streamEvents(message: Message, reportUsage: boolean): string[] {
  const { reply, usage } = message;
  const { toolCall } = reply;
  const atStart = reportUsage ? { usage: usageObject({ ...usage, completionTokens: 0 }) } : {};
  const atEnd = reportUsage ? { usage: { output_tokens: usage.completionTokens } } : {};
  const opening =
    toolCall === null ? { type: 'text', text: '' } : { type: 'tool_use', id: toolUseId(toolCall.id), name: toolCall.name, input: {} };
  return [
    event('message_start', { message: { ...head(message), content: [], stop_reason: null, stop_sequence: null, ...atStart } }),
    event('content_block_start', { index: 0, content_block: opening }),
    event('ping', {}),
    ...deltas(reply).map((delta) => event('content_block_delta', { index: 0, delta })),
    event('content_block_stop', { index: 0 }),
    event('message_delta', { delta: { stop_reason: message.stopReason, stop_sequence: null }, ...atEnd }),
    event('message_stop', {}),
  ];
}

function deltas({ pieces, toolCall }: DemoReply): JsonObject[] {
  if (toolCall === null) return pieces.map((text) => ({ type: 'text_delta', text }));
  const half = Math.ceil(toolCall.arguments.length / 2);
  const parts = [toolCall.arguments.slice(0, half), toolCall.arguments.slice(half)];
  return parts.map((part) => ({ type: 'input_json_delta', partial_json: part }));
}

const usageObject = (usage: Message['usage']): JsonObject => ({
  input_tokens: usage.promptTokens,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: usage.completionTokens,
});

/** The conversation in the words of OpenAI's chats, as far as the demo model listens: tools, the choice of one, and the last message. */
function chatBody(body: JsonObject): JsonObject {
  const tools = (Array.isArray(body['tools']) ? (body['tools'] as readonly JsonObject[]) : [])
    .filter((tool) => isObject(tool['input_schema']))
    .map((tool) => ({ type: 'function', function: { name: tool['name'], parameters: tool['input_schema'] } }));
  const messages = body['messages'] as readonly JsonObject[];
  const last = messages.at(-1) ?? {};
  const blocks = Array.isArray(last['content']) ? (last['content'] as readonly JsonObject[]) : [];
  const result = blocks.find((block) => block['type'] === 'tool_result');
  const said = result === undefined ? last : { role: 'tool', content: result['content'] ?? '' };
  return { messages: [said], tools, tool_choice: toolChoice(body['tool_choice']) };
}

function toolChoice(choice: unknown): unknown {
  if (!isObject(choice)) return undefined;
  if (choice['type'] === 'any') return 'required';
  return choice['type'] === 'tool' ? { type: 'function', function: { name: choice['name'] } } : choice['type'];
}

/** An honest count of what a chat template would print, by its own code and not the bound's. */
function countPrompt(body: JsonObject, count: CountTokens): number {
  const tools = Array.isArray(body['tools']) ? (body['tools'] as readonly unknown[]) : [];
  let tokens = ANSWER_FRAME_TOKENS + (tools.length === 0 ? 0 : TOOL_USE_TOKENS);
  if (body['system'] !== undefined && body['system'] !== null) tokens += MESSAGE_FRAME_TOKENS + countContent(body['system'], count);
  for (const message of body['messages'] as readonly JsonObject[]) {
    tokens += MESSAGE_FRAME_TOKENS + count(textOf(message['role'])) + countContent(message['content'], count);
  }
  for (const tool of tools) tokens += count(stringifyJson(tool));
  return tokens;
}

function countContent(content: unknown, count: CountTokens): number {
  if (typeof content === 'string') return count(content);
  if (!Array.isArray(content)) return 0;
  return (content as readonly JsonObject[]).reduce((tokens, block) => tokens + countBlock(block, count), 0);
}

function countBlock(block: JsonObject, count: CountTokens): number {
  switch (block['type']) {
    case 'text':
      return count(textOf(block['text']));
    case 'thinking':
      return count(textOf(block['thinking']));
    case 'redacted_thinking':
      return count(textOf(block['data']));
    case 'tool_use':
      return count(textOf(block['name'])) + count(stringifyJson(block['input'] ?? {}));
    case 'tool_result':
    case 'search_result':
      return countContent(block['content'], count);
    case 'document': {
      const source = isObject(block['source']) ? block['source'] : {};
      if (source['type'] === 'content') return countContent(source['content'], count);
      return source['type'] === 'text' ? count(textOf(source['data'])) : DEMO_MEDIA_TOKENS;
    }
    default:
      return DEMO_MEDIA_TOKENS;
  }
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** An error in Anthropic's form. */
function errorAnswer(status: number, type: string, message: string): DemoMessagesAnswer {
  return json(status, { type: 'error', error: { type, message } }, null);
}

const json = (status: number, body: unknown, usage: DemoMessagesAnswer['usage']): DemoMessagesAnswer => ({
  status,
  contentType: 'application/json',
  pieces: [stringifyJson(body)],
  usage,
});

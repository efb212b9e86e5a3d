import { createHash } from 'node:crypto';
import { isObject, type JsonObject } from '../../core/bounds/inference-request.ts';
import { stringifyJson } from '../../core/json/int64.ts';

/** Counts tokens of plain text. */
export type CountTokens = (text: string) => number;

/** A tool that the demo model calls. */
export interface DemoToolCall {
  readonly id: string;
  readonly name: string;
  /** JSON text. */
  readonly arguments: string;
}

/** What the demo model says to one conversation. */
export interface DemoReply {
  /** The text in pieces, as they are streamed; none where a tool is called. */
  readonly pieces: readonly string[];
  readonly toolCall: DemoToolCall | null;
  readonly finishReason: 'stop' | 'length' | 'tool_calls';
  readonly tokens: number;
}

const MAX_SCHEMA_DEPTH = 8;

/** The first 24 hexadecimal digits of a text's SHA-256: ids that are the same in every run. */
export function stableId(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 24);
}

/**
 * The demo model's answer to a chat: it repeats the last message, or calls a tool.
 *
 * It calls a tool where `tool_choice` names one or is `required`, and, left to itself, where the last user message mentions a tool's name.
 * Its arguments fill the required properties of the tool's schema from the message. The same request always gets the same answer.
 */
export function replyToChat(body: JsonObject, limit: number | null, count: CountTokens): DemoReply {
  const messages = body['messages'] as readonly JsonObject[];
  const last = messages[messages.length - 1] ?? {};
  const said = messageText(last);
  const tool = chosenTool(body, last, said);
  if (tool === null) return replyWithText(`You said: ${said}`, limit, count);

  const args = stringifyJson(fillSchema(tool['parameters'], said, 0) ?? {});
  const name = String(tool['name']);
  const tokens = count(name) + count(args);
  // A tool call that does not fit is cut off like any text; its arguments are then no JSON, as with a real model.
  if (limit !== null && tokens > limit) return { ...replyWithText(args, limit, count), finishReason: 'length' };
  return { pieces: [], toolCall: { id: `call_${stableId(name + args)}`, name, arguments: args }, finishReason: 'tool_calls', tokens };
}

/** `text` in pieces of about a word, up to `limit` tokens; `tokens` is the sum over the pieces. */
export function replyWithText(text: string, limit: number | null, count: CountTokens): DemoReply {
  const pieces: string[] = [];
  let tokens = 0;
  for (const piece of text.match(/\s*\S{1,24}|\s+$/gu) ?? []) {
    const size = count(piece);
    if (limit !== null && tokens + size > limit) {
      // A model stops at a token, not at a word: take as many characters as fit.
      const characters = Array.from(piece);
      while (characters.length > 0 && tokens + count(characters.join('')) > limit) characters.pop();
      if (characters.length > 0) {
        pieces.push(characters.join(''));
        tokens += count(characters.join(''));
      }
      return { pieces, toolCall: null, finishReason: 'length', tokens };
    }
    pieces.push(piece);
    tokens += size;
  }
  return { pieces, toolCall: null, finishReason: 'stop', tokens };
}

/** The text of a message: its content, or that of its text parts. */
function messageText(message: JsonObject): string {
  const content = message['content'];
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return (content as readonly unknown[])
    .map((part) => (isObject(part) && typeof part['text'] === 'string' ? part['text'] : ''))
    .filter((text) => text !== '')
    .join(' ');
}

function chosenTool(body: JsonObject, last: JsonObject, said: string): JsonObject | null {
  const tools = (Array.isArray(body['tools']) ? (body['tools'] as readonly unknown[]) : [])
    .map((tool) => (isObject(tool) && isObject(tool['function']) ? tool['function'] : null))
    .filter((tool): tool is JsonObject => tool !== null && typeof tool['name'] === 'string');
  const choice = body['tool_choice'];
  if (tools.length === 0 || choice === 'none' || last['role'] === 'tool') return null;
  if (choice === 'required') return tools[0] ?? null;
  if (isObject(choice) && isObject(choice['function'])) {
    const wanted = choice['function']['name'];
    return tools.find((tool) => tool['name'] === wanted) ?? null;
  }
  return last['role'] === 'user' ? (tools.find((tool) => said.includes(String(tool['name']))) ?? null) : null;
}

/** A value that fits a JSON schema, as far as types, enums and required properties go. */
function fillSchema(schema: unknown, text: string, depth: number): unknown {
  if (!isObject(schema) || depth > MAX_SCHEMA_DEPTH) return null;
  const choices = schema['enum'];
  if (Array.isArray(choices) && choices.length > 0) return choices[0] as unknown;
  switch (schema['type']) {
    case 'object': {
      const properties = isObject(schema['properties']) ? schema['properties'] : {};
      const names = Array.isArray(schema['required']) ? (schema['required'] as readonly unknown[]) : Object.keys(properties);
      return Object.fromEntries(names.map((name) => [String(name), fillSchema(properties[String(name)], text, depth + 1)]));
    }
    case 'string':
      return text;
    case 'number':
    case 'integer':
      return 0;
    case 'boolean':
      return true;
    case 'array':
      return [];
    default:
      return null;
  }
}

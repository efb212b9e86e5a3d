import { isObject, isTokenArray, type InferenceRequest, type JsonObject } from '../../core/bounds/inference-request.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import { DEMO_MEDIA_TOKENS } from './demo-model.ts';
import type { CountTokens } from './demo-reply.ts';

/** Around each message: start, role separator, end. Then the opening of the answer. As OpenAI's chat format has it. */
const MESSAGE_FRAME_TOKENS = 3;
const ANSWER_FRAME_TOKENS = 3;

/**
 * The prompt tokens that the demo upstream reports: an honest count of what a chat template would print.
 *
 * Deliberately its own code and not the bound's, so that a test of "actual ≤ hold" compares two opinions.
 */
export function demoPromptTokens(request: InferenceRequest, count: CountTokens): number {
  const { body, kind } = request;
  if (kind !== 'chat') return inputTokens(body[kind === 'embeddings' ? 'input' : 'prompt'], count);
  let tokens = ANSWER_FRAME_TOKENS;
  for (const message of body['messages'] as readonly JsonObject[]) tokens += MESSAGE_FRAME_TOKENS + messageTokens(message, count);
  for (const field of ['tools', 'functions', 'response_format'] as const) {
    if (isObject(body[field]) || Array.isArray(body[field])) tokens += count(stringifyJson(body[field]));
  }
  return tokens;
}

function messageTokens(message: JsonObject, count: CountTokens): number {
  let tokens = 0;
  for (const field of ['role', 'name', 'content', 'tool_call_id', 'refusal', 'reasoning_content'] as const) {
    const value = message[field];
    if (typeof value === 'string') tokens += count(value);
  }
  if (Array.isArray(message['content'])) {
    for (const part of message['content'] as readonly JsonObject[]) {
      tokens += typeof part['text'] === 'string' ? count(part['text']) : DEMO_MEDIA_TOKENS;
    }
  }
  for (const call of Array.isArray(message['tool_calls']) ? (message['tool_calls'] as readonly unknown[]) : []) {
    const called = isObject(call) ? call['function'] : null;
    if (isObject(called)) tokens += count(String(called['name'])) + count(String(called['arguments']));
  }
  return tokens;
}

function inputTokens(input: unknown, count: CountTokens): number {
  if (typeof input === 'string') return count(input);
  if (isTokenArray(input)) return input.length;
  return (input as readonly unknown[]).reduce<number>((sum, item) => sum + inputTokens(item, count), 0);
}

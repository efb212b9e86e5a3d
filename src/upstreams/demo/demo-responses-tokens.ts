import { isObject, type JsonObject } from '../../core/bounds/inference-request.ts';
import { DEMO_MEDIA_TOKENS } from './demo-model.ts';
import type { CountTokens } from './demo-reply.ts';

/** Around each item, and before the answer. */
const ITEM_FRAME_TOKENS = 3;
const ANSWER_FRAME_TOKENS = 3;

/** The tokens that the demo upstream reads of a request to `/responses`. Its own opinion, not the bound's; see `demoPromptTokens`. */
export function responsesTokens(body: JsonObject, items: readonly JsonObject[], count: CountTokens): number {
  let tokens = ANSWER_FRAME_TOKENS;
  if (typeof body['instructions'] === 'string') tokens += ITEM_FRAME_TOKENS + count('system') + count(body['instructions']);
  for (const item of items) tokens += ITEM_FRAME_TOKENS + itemTokens(item, count);
  if (Array.isArray(body['tools'])) tokens += count(JSON.stringify(body['tools']));
  const text = body['text'];
  if (isObject(text) && isObject(text['format'])) tokens += count(JSON.stringify(text['format']));
  return tokens;
}

function itemTokens(item: JsonObject, count: CountTokens): number {
  let tokens = 0;
  for (const field of ['role', 'name', 'arguments', 'call_id'] as const) {
    const value = item[field];
    if (typeof value === 'string') tokens += count(value);
  }
  for (const field of ['content', 'output', 'summary'] as const) tokens += contentTokens(item[field], count);
  return tokens;
}

function contentTokens(content: unknown, count: CountTokens): number {
  if (typeof content === 'string') return count(content);
  if (!Array.isArray(content)) return 0;
  return (content as readonly unknown[]).reduce<number>(
    (sum, part) => sum + (isObject(part) && typeof part['text'] === 'string' ? count(part['text']) : DEMO_MEDIA_TOKENS),
    0,
  );
}

import { stringifyJson } from '../json/int64.ts';
import { isGiven, isObject, type InferenceRequest, type JsonObject } from './inference-request.ts';
import { addContentPart, addOtherFields, type OpenParts, type PromptParts } from './prompt-parts.ts';
import { isItemReference } from './responses-request.ts';

/** Fields of a request to `/responses` that are counted here, or that steer the answer and never reach the prompt. */
const TAKEN_FIELDS: ReadonlySet<string> = new Set(
  [
    'input prompt previous_response_id max_output_tokens max_tool_calls background include reasoning truncation',
    'prompt_cache_retention prompt_cache_options context_management moderation access_programs',
  ].flatMap((names) => names.split(' ')),
);

/** Tools that the caller runs: the model reads their description and no more. All others bring in what nobody can bound. */
const CALLER_TOOLS: ReadonlySet<unknown> = new Set(['function', 'custom']);

/** Items that stand for an image. */
const IMAGE_ITEMS: ReadonlySet<unknown> = new Set(['image_generation_call', 'computer_call_output']);

/**
 * Takes a request to `/responses` apart, as `promptParts` does with the others.
 *
 * An earlier response counts with the tokens that are known of it, else, like items that are only referred to, stored prompts and tools
 * that the upstream runs itself, as what cannot be bounded.
 */
export function responsesParts(request: InferenceRequest): PromptParts {
  const parts: OpenParts = { texts: [], schemas: [], tokenCount: 0, messages: 1, media: [] };
  const { body, refers } = request;
  const { input, tools } = body;
  if (typeof input === 'string') parts.texts.push(input);
  else for (const item of (input ?? []) as readonly JsonObject[]) addItem(parts, item);
  addOtherFields(parts, body, TAKEN_FIELDS);
  const buildsOn = (refers?.previousResponseId ?? null) !== null || (refers?.itemIds.length ?? 0) > 0;
  if (buildsOn && (refers?.priorTokens ?? null) !== null) parts.tokenCount += refers?.priorTokens ?? 0;
  else if (buildsOn) parts.media.push('unknown');
  const runsTools =
    Array.isArray(tools) && (tools as readonly unknown[]).some((tool) => !(isObject(tool) && CALLER_TOOLS.has(tool['type'])));
  if (runsTools || isGiven(body['prompt'])) parts.media.push('unknown');
  return parts;
}

function addItem(parts: OpenParts, item: JsonObject): void {
  if (isItemReference(item)) return;
  parts.messages += 1;
  if (IMAGE_ITEMS.has(item['type'])) {
    parts.media.push('image');
    return;
  }
  for (const [field, value] of Object.entries(item)) {
    if (typeof value === 'string') parts.texts.push(value);
    else if (Array.isArray(value) && (field === 'content' || field === 'output')) addContent(parts, value as readonly unknown[]);
    else if (typeof value === 'object' && value !== null) parts.schemas.push(stringifyJson(value));
  }
}

function addContent(parts: OpenParts, content: readonly unknown[]): void {
  for (const part of content) {
    if (isObject(part) && typeof part['type'] === 'string') addContentPart(parts, part);
    else parts.schemas.push(stringifyJson(part));
  }
}

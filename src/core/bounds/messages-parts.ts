import { stringifyJson } from '../json/int64.ts';
import { isObject, type InferenceRequest, type JsonObject } from './inference-request.ts';
import type { MediaKind, PromptParts } from './prompt-parts.ts';

/** Fields whose values steer the answer and never reach the prompt. Anything not listed is counted, so that no new field comes in free. */
const STEERING_FIELDS: ReadonlySet<string> = new Set(
  [
    'model messages system tools max_tokens stream stop_sequences temperature top_p top_k metadata service_tier speed inference_geo',
    'cache_control thinking tool_choice diagnostics context_management container mcp_servers priority cache_salt',
  ].flatMap((names) => names.split(' ')),
);

/** Fields by which the upstream adds to the prompt what we do not see: files of earlier turns, answers of servers that it asks. */
const UNSEEN_FIELDS = ['container', 'mcp_servers'] as const;

/** Blocks whose tokens are those of their texts. */
const TEXT_BLOCKS: ReadonlySet<string> = new Set(['text', 'thinking', 'redacted_thinking', 'tool_use', 'tool_result', 'search_result']);

/** Tools that the caller runs, but that the upstream describes to the model in its own words. */
const DESCRIBED_TOOL = /^(?:bash|text_editor|computer|memory|browser)_/;

/** Framing that the instructions for using tools are worth, beside the tools themselves: some 350 tokens at Anthropic. */
const TOOL_USE_FRAMES = 90;
/** The same for each tool that the upstream describes: some 250 to 1200 tokens at Anthropic. */
const DESCRIBED_TOOL_FRAMES = 300;

interface OpenParts {
  texts: string[];
  schemas: string[];
  tokenCount: number;
  messages: number;
  media: MediaKind[];
}

/**
 * Takes a request of Anthropic's Messages API apart: system, messages with what their blocks hold, tools, and every field that is not
 * known to only steer the answer.
 *
 * Images and documents count as their declared maxima, a document of plain text as that text. What the upstream fetches or makes by
 * itself (tools that it runs, its results of them, containers, servers, summaries) cannot be bounded here: media of the kind `unknown`.
 */
export function messagesParts(request: InferenceRequest): PromptParts {
  const parts: OpenParts = { texts: [], schemas: [], tokenCount: 0, messages: 0, media: [] };
  const { body } = request;
  if (body['system'] !== undefined && body['system'] !== null) {
    parts.messages += 1;
    addContent(parts, body['system']);
  }
  for (const message of body['messages'] as readonly JsonObject[]) {
    parts.messages += 1;
    for (const [field, value] of Object.entries(message)) {
      if (field === 'content') addContent(parts, value);
      else addField(parts, value);
    }
  }
  addTools(parts, body['tools']);
  for (const field of UNSEEN_FIELDS) if (body[field] !== undefined && body[field] !== null) parts.media.push('unknown');
  if (mayCompact(body['context_management'])) parts.media.push('unknown');
  for (const [field, value] of Object.entries(body)) if (!STEERING_FIELDS.has(field)) addField(parts, value);
  return parts;
}

/** Clearing what a prompt holds only makes it smaller; a summary is made by another run over the whole of it. */
function mayCompact(management: unknown): boolean {
  if (management === undefined || management === null) return false;
  const edits = isObject(management) ? (management['edits'] ?? []) : null;
  if (!Array.isArray(edits)) return true;
  return (edits as readonly unknown[]).some((edit) => !isObject(edit) || !String(edit['type']).startsWith('clear_'));
}

function addField(parts: OpenParts, value: unknown): void {
  if (typeof value === 'string') parts.texts.push(value);
  else if (typeof value === 'object' && value !== null) parts.schemas.push(stringifyJson(value));
}

function addContent(parts: OpenParts, content: unknown): void {
  if (typeof content === 'string') parts.texts.push(content);
  else if (Array.isArray(content)) for (const block of content as readonly unknown[]) addBlock(parts, block);
  else addField(parts, content);
}

function addBlock(parts: OpenParts, block: unknown): void {
  const type = isObject(block) ? block['type'] : null;
  if (!isObject(block) || typeof type !== 'string') return void parts.media.push('unknown');
  if (type === 'image') return void parts.media.push('image');
  if (type === 'document') return addDocument(parts, block);
  // Its fields are not counted beside it: as a whole it counts as the context.
  if (!TEXT_BLOCKS.has(type)) return void parts.media.push('unknown');
  // A block is framed like a message: with its type, its place, and what tells it from the next one.
  parts.messages += 1;
  for (const [field, value] of Object.entries(block)) {
    if (field === 'type' || field === 'cache_control') continue;
    if (field === 'content') addContent(parts, value);
    else addField(parts, value);
  }
}

/** A document is as large as its source: a text, blocks, or a file whose pages nobody here counts. */
function addDocument(parts: OpenParts, block: JsonObject): void {
  parts.messages += 1;
  const source = isObject(block['source']) ? block['source'] : {};
  if (source['type'] === 'text' && typeof source['data'] === 'string') parts.texts.push(source['data']);
  else if (source['type'] === 'content') addContent(parts, source['content']);
  else parts.media.push('file');
  for (const field of ['title', 'context'] as const) addField(parts, block[field]);
}

function addTools(parts: OpenParts, tools: unknown): void {
  if (!Array.isArray(tools) || tools.length === 0) return;
  parts.messages += TOOL_USE_FRAMES;
  for (const tool of tools as readonly JsonObject[]) {
    const { type } = tool;
    parts.schemas.push(stringifyJson(tool));
    if (type === undefined || type === null || type === 'custom') parts.messages += 1;
    else if (typeof type === 'string' && DESCRIBED_TOOL.test(type)) parts.messages += DESCRIBED_TOOL_FRAMES;
    else parts.media.push('unknown');
  }
}

import { isObject, type InferenceRequest, type JsonObject } from '../../core/bounds/inference-request.ts';
import { isItemReference } from '../../core/bounds/responses-request.ts';
import { errorAnswer, json, type DemoAnswer, type DemoSettings } from './demo-form.ts';
import { DEMO_MODEL_LIMITS } from './demo-model.ts';
import { replyToChat, replyWithText, stableId, type DemoReply } from './demo-reply.ts';
import { responseEvents } from './demo-response-events.ts';
import type { StoredResponse } from './demo-response-store.ts';
import { responsesTokens } from './demo-responses-tokens.ts';

/** How often a response in the background must be asked for until it has ended. */
const BACKGROUND_WAITS = 2;

/** The items of a request, those that are only referred to among them; null where one of those is not kept. */
function itemsOf({ body }: InferenceRequest, settings: DemoSettings): readonly JsonObject[] | null {
  const { input } = body;
  if (typeof input === 'string') return [{ type: 'message', role: 'user', content: input }];
  const items = ((input ?? []) as readonly JsonObject[]).map((item) =>
    isItemReference(item) ? settings.responses?.item(String(item['id'])) : item,
  );
  return items.includes(undefined) ? null : (items as readonly JsonObject[]);
}

/** What a request to `/responses` reads: its own tokens and those of the response that it builds on. Or an error. */
function responseInput(
  request: InferenceRequest,
  settings: DemoSettings,
): { readonly items: readonly JsonObject[]; readonly tokens: number } | { readonly error: DemoAnswer } {
  const items = itemsOf(request, settings);
  if (items === null) return { error: errorAnswer(404, 'An item of input was not found.', 'input', 'not_found') };
  const previousId = request.refers?.previousResponseId ?? null;
  const previous = previousId === null ? null : settings.responses?.get(previousId);
  if (previous === undefined) {
    const message = `Previous response with id '${previousId}' not found.`;
    return { error: errorAnswer(400, message, 'previous_response_id', 'previous_response_not_found') };
  }
  return { items, tokens: responsesTokens(request.body, items, settings.countTokens) + (previous?.tokens ?? 0) };
}

/** Makes a response: whole, streamed, or in the background. */
export function makeResponse(request: InferenceRequest, settings: DemoSettings): DemoAnswer {
  const input = responseInput(request, settings);
  if ('error' in input) return input.error;
  const { body } = request;
  const limit = request.outputLimit ?? DEMO_MODEL_LIMITS.defaultOutputTokens;
  const reply =
    settings.text === null
      ? replyToChat(chatOf(body, input.items), limit, settings.countTokens)
      : replyWithText(settings.text, limit, settings.countTokens);
  const usage = { promptTokens: input.tokens, completionTokens: reply.tokens };
  const id = `resp_${stableId(`${settings.responses?.next() ?? 0} ${JSON.stringify(body)}`)}`;
  const ended = responseObject(request, { id, reply, usage, createdAt: settings.createdAt, reportUsage: settings.reportUsage });
  const background = body['background'] === true;
  const kept: StoredResponse = {
    ended,
    inputItems: input.items.map((item, index) => ({ id: `msg_${stableId(`${id} ${index}`)}`, type: 'message', ...item })),
    tokens: usage.promptTokens + usage.completionTokens,
    waits: background && !request.stream ? BACKGROUND_WAITS : 0,
    cancelled: false,
  };
  if (body['store'] !== false) settings.responses?.put(id, kept);
  if (request.stream) return { status: 200, contentType: 'text/event-stream', pieces: responseEvents(ended), usage };
  return json(200, presentState(kept), usage);
}

/** A response as it is now. */
export function presentState({ ended, waits, cancelled }: StoredResponse): JsonObject {
  if (waits === 0 && !cancelled) return ended;
  const usage = ended['usage'];
  const read = isObject(usage) ? { ...usage, output_tokens: 0, total_tokens: usage['input_tokens'] } : null;
  if (cancelled) return { ...ended, status: 'cancelled', output: [], usage: read };
  return { ...ended, status: waits === BACKGROUND_WAITS ? 'queued' : 'in_progress', output: [], usage: null };
}

function responseObject(
  { body, model, outputLimit }: InferenceRequest,
  made: {
    readonly id: string;
    readonly reply: DemoReply;
    readonly usage: { readonly promptTokens: number; readonly completionTokens: number };
    readonly createdAt: number;
    readonly reportUsage: boolean;
  },
): JsonObject {
  const { id, reply, usage } = made;
  const isCut = reply.finishReason === 'length';
  return {
    id,
    object: 'response',
    created_at: made.createdAt,
    status: isCut ? 'incomplete' : 'completed',
    background: body['background'] === true,
    error: null,
    incomplete_details: isCut ? { reason: 'max_output_tokens' } : null,
    instructions: body['instructions'] ?? null,
    max_output_tokens: outputLimit,
    metadata: body['metadata'] ?? {},
    model,
    output: [outputItem(id, reply, isCut)],
    parallel_tool_calls: body['parallel_tool_calls'] ?? true,
    previous_response_id: body['previous_response_id'] ?? null,
    reasoning: { effort: null, summary: null },
    store: body['store'] ?? true,
    temperature: body['temperature'] ?? 1,
    text: body['text'] ?? { format: { type: 'text' } },
    tool_choice: body['tool_choice'] ?? 'auto',
    tools: body['tools'] ?? [],
    top_p: body['top_p'] ?? 1,
    truncation: body['truncation'] ?? 'disabled',
    usage: made.reportUsage ? usageObject(usage) : null,
    user: null,
  };
}

function outputItem(responseId: string, reply: DemoReply, isCut: boolean): JsonObject {
  const status = isCut ? 'incomplete' : 'completed';
  const { toolCall } = reply;
  if (toolCall !== null) {
    const id = `fc_${stableId(responseId)}`;
    return { id, type: 'function_call', status, call_id: toolCall.id, name: toolCall.name, arguments: toolCall.arguments };
  }
  const content = [{ type: 'output_text', text: reply.pieces.join(''), annotations: [], logprobs: [] }];
  return { id: `msg_${stableId(responseId)}`, type: 'message', status, role: 'assistant', content };
}

const usageObject = ({
  promptTokens,
  completionTokens,
}: {
  readonly promptTokens: number;
  readonly completionTokens: number;
}): JsonObject => ({
  input_tokens: promptTokens,
  input_tokens_details: { cached_tokens: 0 },
  output_tokens: completionTokens,
  output_tokens_details: { reasoning_tokens: 0 },
  total_tokens: promptTokens + completionTokens,
});

/** The request in the words of a chat, for the model speaks to both alike. */
function chatOf(body: JsonObject, items: readonly JsonObject[]): JsonObject {
  const tools = (Array.isArray(body['tools']) ? (body['tools'] as readonly unknown[]) : []).flatMap((tool) =>
    isObject(tool) && tool['type'] === 'function' ? [{ type: 'function', function: tool }] : [],
  );
  const choice = body['tool_choice'];
  return {
    messages: items.map((item) => ({ role: item['type'] === 'function_call_output' ? 'tool' : item['role'], content: textOf(item) })),
    ...(tools.length === 0 ? {} : { tools }),
    tool_choice: isObject(choice) ? { type: 'function', function: { name: choice['name'] } } : choice,
  };
}

function textOf(item: JsonObject): unknown {
  return item['content'] ?? item['output'] ?? '';
}

/** How many tokens a request to `/responses` would read. */
export function countResponseInput(request: InferenceRequest, settings: DemoSettings): DemoAnswer {
  const input = responseInput(request, settings);
  return 'error' in input ? input.error : json(200, { object: 'response.input_tokens', input_tokens: input.tokens }, null);
}

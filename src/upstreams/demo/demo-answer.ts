import type {
  InferenceKind,
  InferenceRequest,
  InferenceRequestResult,
  JsonObject,
  OpenAiKind,
} from '../../core/bounds/inference-request.ts';
import { readForm } from '../../core/bounds/multipart-form.ts';
import { readRequest } from '../../core/bounds/read-request.ts';
import { parseJson, stringifyJson } from '../../core/json/int64.ts';
import { embeddingsAnswer } from './demo-embeddings.ts';
import { errorAnswer, json, type DemoAnswer, type DemoSettings } from './demo-form.ts';
import { imagesAnswer, speechAnswer, transcriptionAnswer } from './demo-media.ts';
import { demoMessagesAnswer, isMessagesPath } from './demo-messages.ts';
import { DEMO_MODEL_ID, DEMO_MODEL_LIMITS } from './demo-model.ts';
import { demoPromptTokens } from './demo-prompt-tokens.ts';
import { replyToChat, replyWithText, stableId, type CountTokens, type DemoReply } from './demo-reply.ts';
import { countResponseInput, makeResponse } from './demo-responses.ts';
import { storedAnswer } from './demo-stored.ts';

const KINDS: ReadonlyMap<string, OpenAiKind> = new Map([
  ['/chat/completions', 'chat'],
  ['/completions', 'completions'],
  ['/embeddings', 'embeddings'],
  ['/responses', 'responses'],
  ['/audio/speech', 'speech'],
  ['/audio/transcriptions', 'transcriptions'],
  ['/images/generations', 'images'],
]);

/** Paths that count what a request of a kind would read. */
const COUNTING: ReadonlyMap<string, OpenAiKind> = new Map([
  ['/chat/completions/input_tokens', 'chat'],
  ['/responses/input_tokens', 'responses'],
]);

/** Answers one request to a path below `/v1`, which may have a query; never throws. */
export function demoAnswer(target: string, body: string | Uint8Array, settings: DemoSettings): DemoAnswer {
  const [path = '', query = ''] = target.split('?');
  const stored = storedAnswer(path, new URLSearchParams(query), settings);
  if (stored !== null) return stored;
  if (path === '/models') return json(200, { object: 'list', data: (settings.models ?? [DEMO_MODEL_ID]).map(modelEntry) }, null);
  if (isMessagesPath(path)) return demoMessagesAnswer(path, textOf(body), settings);
  const kind = KINDS.get(path) ?? COUNTING.get(path);
  if (kind === undefined) return errorAnswer(404, `No such path: ${path}`, null, 'unknown_url');
  const read = readBody(kind, body, settings);
  if (read === null) return errorAnswer(400, 'The body is no JSON.', null, 'invalid_json');
  if (!read.ok) return errorAnswer(400, read.defect.message, read.defect.param, read.defect.code);
  const { request } = read;
  if (settings.models !== null && !settings.models.includes(request.model)) {
    return errorAnswer(404, `The model ${request.model} does not exist.`, 'model', 'model_not_found');
  }
  const { countTokens } = settings;
  switch (kind) {
    case 'responses':
      return COUNTING.has(path) ? countResponseInput(request, settings) : makeResponse(request, settings);
    case 'speech':
      return speechAnswer(request, settings);
    case 'transcriptions':
      return transcriptionAnswer(request, settings);
    case 'images':
      return imagesAnswer(request, settings);
    case 'chat':
    case 'completions':
    case 'embeddings': {
      const promptTokens = demoPromptTokens(request, countTokens);
      if (COUNTING.has(path)) return json(200, { object: 'chat.completion.input_tokens', input_tokens: promptTokens }, null);
      return textAnswer(request, promptTokens, settings);
    }
  }
}

const textOf = (body: string | Uint8Array): string => (typeof body === 'string' ? body : new TextDecoder().decode(body));

/** The request; null where its body is no JSON. */
function readBody(kind: OpenAiKind, body: string | Uint8Array, settings: DemoSettings): InferenceRequestResult | null {
  if (kind === 'transcriptions') {
    const form = readForm(typeof body === 'string' ? new TextEncoder().encode(body) : body, settings.contentType ?? '');
    if (!form.ok) return form;
    const read = readRequest(kind, form.fields);
    return read.ok ? { ok: true, request: { ...read.request, form: form.form } } : read;
  }
  try {
    return readRequest(kind, parseJson(textOf(body)));
  } catch {
    return null;
  }
}

function textAnswer(request: InferenceRequest, promptTokens: number, settings: DemoSettings): DemoAnswer {
  if (promptTokens > DEMO_MODEL_LIMITS.contextTokens) {
    return errorAnswer(400, 'The prompt is longer than the context of the model.', 'messages', 'context_length_exceeded');
  }
  if (request.kind === 'embeddings') return embeddings(request, promptTokens, settings);
  return generate(request, promptTokens, settings);
}

function embeddings(request: InferenceRequest, promptTokens: number, settings: DemoSettings): DemoAnswer {
  const answer = embeddingsAnswer(request);
  if ('defect' in answer) return errorAnswer(400, answer.defect.message, answer.defect.param, answer.defect.code);
  const usage = { prompt_tokens: promptTokens, total_tokens: promptTokens };
  const body = { object: 'list', data: answer.data, model: request.model, ...(settings.reportUsage ? { usage } : {}) };
  return json(200, body, { promptTokens, completionTokens: 0 });
}

function generate(request: InferenceRequest, promptTokens: number, settings: DemoSettings): DemoAnswer {
  const { body, kind } = request;
  const limit = request.outputLimit ?? DEMO_MODEL_LIMITS.defaultOutputTokens;
  const count = settings.countTokens;
  let reply: DemoReply;
  if (settings.text !== null) reply = replyWithText(settings.text, limit, count);
  else if (kind === 'chat') reply = replyToChat(body, limit, count);
  else reply = replyWithText(` ${typeof body['prompt'] === 'string' ? body['prompt'] : stringifyJson(body['prompt'])}`, limit, count);
  const usage = { promptTokens, completionTokens: reply.tokens * request.choices };
  const frame: Frame = {
    id: `${kind === 'chat' ? 'chatcmpl' : 'cmpl'}-${stableId(stringifyJson(body['messages'] ?? body['prompt']))}`,
    kind,
    created: settings.createdAt,
    model: request.model,
  };
  if (request.stream) {
    return { status: 200, contentType: 'text/event-stream', pieces: streamEvents({ request, frame, reply, usage }, settings), usage };
  }
  const choices = Array.from({ length: request.choices }, (_, index) => wholeChoice(kind, index, reply));
  const answer = { ...head(frame, ''), choices, ...(settings.reportUsage ? { usage: usageObject(usage) } : {}) };
  return json(200, answer, usage);
}

interface Frame {
  readonly id: string;
  readonly kind: InferenceKind;
  readonly created: number;
  readonly model: string;
}

type Usage = { readonly promptTokens: number; readonly completionTokens: number };

interface GeneratedCall {
  readonly request: InferenceRequest;
  readonly frame: Frame;
  readonly reply: DemoReply;
  readonly usage: Usage;
}

function streamEvents(call: GeneratedCall, settings: DemoSettings): string[] {
  const { request, frame, reply, usage } = call;
  const options = (request.body['stream_options'] ?? {}) as JsonObject;
  const include = settings.reportUsage && options['include_usage'] === true;
  const continuous = include && options['continuous_usage_stats'] === true;
  const events: string[] = [];
  let completionTokens = 0;
  const emit = (choices: readonly unknown[], tokens: number): void => {
    completionTokens += tokens;
    const seen = continuous ? { usage: usageObject({ promptTokens: usage.promptTokens, completionTokens }) } : { usage: null };
    events.push(`data: ${JSON.stringify({ ...head(frame, '.chunk'), choices, ...(include ? seen : {}) })}\n\n`);
  };
  for (let index = 0; index < request.choices; index++) {
    for (const delta of deltas(frame.kind, reply))
      emit([{ index, ...delta.fields, finish_reason: null }], delta.tokens(settings.countTokens));
    const nothing = frame.kind === 'chat' ? { delta: {} } : { text: '' };
    emit([{ index, ...nothing, finish_reason: reply.finishReason }], 0);
  }
  if (include) events.push(`data: ${JSON.stringify({ ...head(frame, '.chunk'), choices: [], usage: usageObject(usage) })}\n\n`);
  events.push('data: [DONE]\n\n');
  return events;
}

interface Delta {
  readonly fields: JsonObject;
  readonly tokens: (count: CountTokens) => number;
}

function deltas(kind: InferenceKind, reply: DemoReply): Delta[] {
  const none = (): number => 0;
  const { toolCall } = reply;
  if (kind !== 'chat') return reply.pieces.map((text) => ({ fields: { text }, tokens: (count) => count(text) }));
  if (toolCall === null) {
    return [
      { fields: { delta: { role: 'assistant', content: '' } }, tokens: none },
      ...reply.pieces.map((content) => ({ fields: { delta: { content } }, tokens: (count: CountTokens) => count(content) })),
    ];
  }
  const call = (fields: JsonObject): JsonObject => ({ delta: { tool_calls: [{ index: 0, ...fields }] } });
  const half = Math.ceil(toolCall.arguments.length / 2);
  const opening = { id: toolCall.id, type: 'function', function: { name: toolCall.name, arguments: '' } };
  return [
    { fields: { delta: { role: 'assistant', content: null } }, tokens: none },
    { fields: call(opening), tokens: () => reply.tokens },
    { fields: call({ function: { arguments: toolCall.arguments.slice(0, half) } }), tokens: none },
    { fields: call({ function: { arguments: toolCall.arguments.slice(half) } }), tokens: none },
  ];
}

function wholeChoice(kind: InferenceKind, index: number, reply: DemoReply): JsonObject {
  const text = reply.pieces.join('');
  if (kind !== 'chat') return { index, text, logprobs: null, finish_reason: reply.finishReason };
  const { toolCall } = reply;
  const message =
    toolCall === null
      ? { role: 'assistant', content: text, refusal: null }
      : {
          role: 'assistant',
          content: null,
          refusal: null,
          tool_calls: [{ id: toolCall.id, type: 'function', function: { name: toolCall.name, arguments: toolCall.arguments } }],
        };
  return { index, message, logprobs: null, finish_reason: reply.finishReason };
}

function head(frame: Frame, suffix: string): JsonObject {
  const object = frame.kind === 'chat' ? `chat.completion${suffix}` : 'text_completion';
  return { id: frame.id, object, created: frame.created, model: frame.model };
}

function usageObject(usage: Usage): JsonObject {
  return {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
}

function modelEntry(id: string): JsonObject {
  return { id, object: 'model', created: 0, owned_by: 'castellan' };
}

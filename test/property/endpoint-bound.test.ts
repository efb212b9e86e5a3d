import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { boundRequest } from '../../src/core/bounds/bound-request.ts';
import type { OpenAiKind, InferenceRequest } from '../../src/core/bounds/inference-request.ts';
import { readForm } from '../../src/core/bounds/multipart-form.ts';
import { readRequest } from '../../src/core/bounds/read-request.ts';
import { JsonUsageScanner } from '../../src/core/metering/json-usage-scanner.ts';
import { mediaUse } from '../../src/core/metering/media-use.ts';
import { SseUsageScanner } from '../../src/core/metering/sse-usage-scanner.ts';
import { writeRequest } from '../../src/core/metering/write-request.ts';
import { chargeMicrocents, costNanoUsd, holdNanoUsd, type Rates } from '../../src/core/pricing/rates.ts';
import type { Tokenizer } from '../../src/ports/tokenizer.ts';
import { demoAnswer } from '../../src/upstreams/demo/demo-answer.ts';
import { DEMO_MODEL_LIMITS } from '../../src/upstreams/demo/demo-model.ts';
import { makeDemoResponseStore, type DemoResponseStore } from '../../src/upstreams/demo/demo-response-store.ts';
import { makeTokenizers } from '../../src/upstreams/tokenizers/tokenizers.ts';

let tokenizer: Tokenizer;
beforeAll(async () => {
  const loaded = await makeTokenizers().load('o200k_base');
  if (loaded === null) throw new Error('o200k_base is missing');
  tokenizer = loaded;
});

const RATES: Rates = {
  inputNanos: 150n,
  outputNanos: 600n,
  cachedInputNanos: 75n,
  requestNanos: 1001n,
  secondNanos: 100_000n,
  characterNanos: 15_000n,
  imageNanos: 40_000_000n,
};

const CONTENT_TYPE = 'multipart/form-data; boundary=bound';
const PATHS: Readonly<Record<OpenAiKind, string>> = {
  chat: '/chat/completions',
  completions: '/completions',
  embeddings: '/embeddings',
  responses: '/responses',
  transcriptions: '/audio/transcriptions',
  speech: '/audio/speech',
  images: '/images/generations',
};

/** What the gateway does before and after the upstream, in short; and the upstream. Checks tokens and money. */
function expectWithin(
  kind: OpenAiKind,
  body: object | string,
  options: { readonly byTokenizer: boolean; readonly responses?: DemoResponseStore; readonly priorTokens?: number },
): { readonly id: string | null; readonly total: number } {
  const request = read(kind, body, options.priorTokens ?? null);
  const countTokens = options.byTokenizer ? (text: string) => tokenizer.count(text) : null;
  const bounded = boundRequest(request, DEMO_MODEL_LIMITS, countTokens);
  if (!bounded.ok) throw new Error(bounded.defect.message);
  const { bound } = bounded;
  const sent = writeRequest({
    request,
    upstreamModel: 'demo-echo',
    continuousUsage: false,
    outputLimit: bound.sendLimitAs === null ? null : { field: bound.sendLimitAs, tokens: bound.outputPerChoice },
  });
  const answer = demoAnswer(PATHS[kind], sent.body, {
    countTokens: (text) => tokenizer.count(text),
    createdAt: 0,
    models: null,
    reportUsage: true,
    text: null,
    contentType: CONTENT_TYPE,
    ...(options.responses === undefined ? {} : { responses: options.responses }),
  });
  expect(answer).toMatchObject({ status: 200 });
  const pieces = answer.bytes ?? answer.pieces.map((piece) => new TextEncoder().encode(piece));
  const json = new JsonUsageScanner();
  const sse = new SseUsageScanner({ hideUsage: sent.hideUsage, countTokens: null });
  for (const piece of pieces) {
    if (answer.contentType === 'application/json') json.push(piece);
    else if (answer.contentType === 'text/event-stream') sse.push(piece);
  }
  sse.end();
  const usage = json.usage ?? sse.usage ?? { promptTokens: 0, completionTokens: 0, cachedPromptTokens: null };
  expect(usage.promptTokens).toBeLessThanOrEqual(bound.inputTokens);
  expect(usage.completionTokens).toBeLessThanOrEqual(bound.choices * bound.outputPerChoice);

  const seen = { seconds: json.seconds ?? sse.seconds, images: json.dataItems ?? sse.images };
  const used = mediaUse(bound.media, seen, true)?.use ?? null;
  expect(used?.quantity ?? 0).toBeLessThanOrEqual(bound.media?.most ?? 0);
  const most = bound.media === undefined ? null : { unit: bound.media.unit, quantity: bound.media.most };
  const { base, perUnit } = holdNanoUsd(RATES, { inputTokens: bound.inputTokens, choices: bound.choices, media: most });
  const hold = chargeMicrocents(base + perUnit * BigInt(bound.outputPerChoice));
  expect(chargeMicrocents(costNanoUsd(RATES, usage, used))).toBeLessThanOrEqual(hold);
  return { id: json.id, total: usage.promptTokens + usage.completionTokens };
}

function read(kind: OpenAiKind, body: object | string, priorTokens: number | null): InferenceRequest {
  const form = typeof body === 'string' ? readForm(new TextEncoder().encode(body), CONTENT_TYPE) : null;
  if (form?.ok === false) throw new Error(form.defect.message);
  const result = readRequest(kind, form === null ? body : form.fields);
  if (!result.ok) throw new Error(result.defect.message);
  const { request } = result;
  const refers = request.refers === undefined ? {} : { refers: { ...request.refers, priorTokens } };
  return { ...request, ...refers, ...(form === null ? {} : { form: form.form }) };
}

const words = fc.array(
  fc.constantFrom('hello', 'the castle', 'Grüße', '東京から', 'สวัสดี', '😀👩‍👩‍👧‍👦', '\n\n', '{"a":1}', '<|endoftext|>', 'weather', '————'),
  { minLength: 1, maxLength: 30 },
);
const text = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 80 }),
  words.map((list) => list.join(' ')),
  fc.tuple(fc.constantFrom('a', '\n', '😀', 'ß'), fc.integer({ min: 1, max: 500 })).map(([unit, count]) => unit.repeat(count)),
);

const part = fc.oneof(
  text.map((value) => ({ type: 'input_text', text: value })),
  fc.constant({ type: 'input_image', image_url: 'data:image/png;base64,AAAA' }),
  fc.constant({ type: 'input_file', file_id: 'f' }),
);
const item = fc.oneof(
  fc.record({ role: fc.constantFrom('user', 'system', 'developer'), content: text }),
  fc.record({ type: fc.constant('message'), role: fc.constant('user'), content: fc.array(part, { maxLength: 4 }) }),
  fc.record({
    type: fc.constant('message'),
    role: fc.constant('assistant'),
    id: fc.constant('msg_x'),
    content: text.map((value) => [{ type: 'output_text', text: value, annotations: [] }]),
  }),
  fc.record({ type: fc.constant('function_call'), call_id: fc.constant('c'), name: fc.constant('weather'), arguments: text }),
  fc.record({
    type: fc.constant('function_call_output'),
    call_id: fc.constant('c'),
    output: fc.oneof(text, fc.array(part, { maxLength: 3 })),
  }),
);
const tool = fc.record({
  type: fc.constant('function'),
  name: fc.constantFrom('weather', 'search'),
  description: text,
  parameters: fc.constant({ type: 'object', properties: { größe: { type: 'string' } } }),
});
const response = fc
  .record(
    {
      input: fc.oneof(text, fc.array(item, { maxLength: 10 })),
      instructions: text,
      tools: fc.array(tool, { minLength: 1, maxLength: 4 }),
      tool_choice: fc.constantFrom('auto', 'none', 'required'),
      text: fc.constant({ format: { type: 'json_schema', name: 'x', schema: { type: 'object' } } }),
      max_output_tokens: fc.integer({ min: 1, max: 300 }),
      stream: fc.boolean(),
      store: fc.boolean(),
    },
    { requiredKeys: ['input'] },
  )
  .map((body) => ({ model: 'demo-echo', ...body }));

const completion = fc
  .record(
    {
      prompt: fc.oneof(text, fc.array(text, { minLength: 1, maxLength: 4 }), fc.array(fc.nat(199_999), { minLength: 1, maxLength: 20 })),
      max_tokens: fc.integer({ min: 1, max: 300 }),
      n: fc.integer({ min: 1, max: 4 }),
      stream: fc.boolean(),
    },
    { requiredKeys: ['prompt'] },
  )
  .map((body) => ({ model: 'demo-echo', ...body, ...(body.stream === true ? { stream_options: { include_usage: true } } : {}) }));

const speech = fc
  .record({ input: text, instructions: text, stream_format: fc.constantFrom('audio', 'sse') })
  .map((body) => ({ model: 'demo-echo', voice: 'x', ...body }));

const images = fc
  .record({ prompt: text, n: fc.integer({ min: 1, max: 10 }), stream: fc.boolean() })
  .map(({ stream, n, prompt }) => ({ model: 'demo-echo', prompt, n: stream ? 1 : n, stream }));

const field = (name: string, value: string): string => `--bound\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const transcription = fc
  .record({
    prompt: text.map((value) => value.replaceAll('--bound', '')),
    fileBytes: fc.integer({ min: 1, max: 60_000 }),
    format: fc.constantFrom('json', 'verbose_json', 'text', 'srt', 'vtt'),
    stream: fc.boolean(),
  })
  .map(({ prompt, fileBytes, format, stream }) => {
    const fields = [
      field('model', 'demo-echo'),
      field('prompt', prompt),
      field('response_format', format),
      field('stream', String(stream)),
    ];
    const sound = `--bound\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n${'\u0002'.repeat(fileBytes)}\r\n--bound--`;
    return `${fields.join('')}${sound}`;
  });

describe('actual ≤ hold, in tokens and in money', () => {
  const corpora: [OpenAiKind, fc.Arbitrary<object | string>, number][] = [
    ['completions', completion, 200],
    ['responses', response, 300],
    ['speech', speech, 100],
    ['images', images, 100],
    ['transcriptions', transcription, 100],
  ];
  test.each(corpora)('for any request of the kind %s', (kind, corpus, numRuns) => {
    fc.assert(
      fc.property(corpus, fc.boolean(), (body, byTokenizer) => {
        expectWithin(kind, body, { byTokenizer });
      }),
      { numRuns },
    );
  });

  test('for responses that build on one another, with what is known of the one before', () => {
    fc.assert(
      fc.property(fc.array(response, { minLength: 2, maxLength: 4 }), fc.boolean(), (bodies, byTokenizer) => {
        const responses = makeDemoResponseStore();
        let priorTokens = 0;
        let previous: string | null = null;
        for (const body of bodies) {
          const chained: object = { ...body, stream: false, store: true, ...(previous === null ? {} : { previous_response_id: previous }) };
          const { id, total } = expectWithin('responses', chained, { byTokenizer, responses, priorTokens });
          previous = id;
          priorTokens = total;
        }
      }),
      { numRuns: 60 },
    );
  });
});

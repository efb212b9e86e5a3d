import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { boundRequest, estimatePromptTokens, type RequestBound } from '../../src/core/bounds/bound-request.ts';
import { readInferenceRequest, type OpenAiKind } from '../../src/core/bounds/inference-request.ts';
import { parseJson } from '../../src/core/json/int64.ts';
import { normalizeUsage, type TokenUsage } from '../../src/core/metering/token-usage.ts';
import { mergeStreamOptions } from '../../src/core/metering/upstream-body.ts';
import type { Tokenizer } from '../../src/ports/tokenizer.ts';
import { demoAnswer } from '../../src/upstreams/demo/demo-answer.ts';
import { DEMO_MODEL_LIMITS } from '../../src/upstreams/demo/demo-model.ts';
import { makeTokenizers } from '../../src/upstreams/tokenizers/tokenizers.ts';

let tokenizer: Tokenizer;
beforeAll(async () => {
  const loaded = await makeTokenizers().load('o200k_base');
  if (loaded === null) throw new Error('o200k_base is missing');
  tokenizer = loaded;
});

const words = fc.array(
  fc.constantFrom(
    'hello',
    'the castle',
    'Grüße',
    '東京から',
    'привет',
    'สวัสดี',
    '😀👩‍👩‍👧‍👦',
    '\n\n',
    '   ',
    '```js\n',
    '{"a":1}',
    '12345',
    '<|endoftext|>',
    "it's",
    '————',
    'get_weather',
  ),
  { maxLength: 40 },
);
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  words.map((list) => list.join(' ')),
  words.map((list) => list.join('')),
  fc.tuple(fc.constantFrom('a', ' ', '\n', '😀', 'ß', '-'), fc.nat(600)).map(([unit, count]) => unit.repeat(count)),
);

const contentPart = fc.oneof(
  text.map((value) => ({ type: 'text', text: value })),
  fc.constant({ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }),
  fc.constant({ type: 'input_audio', input_audio: { data: 'AAAA', format: 'wav' } }),
  fc.constant({ type: 'file', file: { file_id: 'f' } }),
);

const toolCall = fc.record({
  id: fc.constant('call_1'),
  type: fc.constant('function'),
  function: fc.record({
    name: fc.constantFrom('get_weather', 'search'),
    arguments: fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value)),
  }),
});

const message = fc.oneof(
  fc.record({ role: fc.constantFrom('user', 'system', 'developer'), content: text }),
  fc.record({ role: fc.constant('user'), content: fc.array(contentPart, { maxLength: 4 }) }),
  fc.record({ role: fc.constant('assistant'), content: fc.option(text), tool_calls: fc.array(toolCall, { maxLength: 3 }) }),
  fc.record({ role: fc.constant('tool'), tool_call_id: fc.constant('call_1'), content: text, name: text }),
);

const tool = fc.record({
  type: fc.constant('function'),
  function: fc.record({
    name: fc.constantFrom('get_weather', 'search'),
    description: text,
    parameters: fc.record({
      type: fc.constant('object'),
      properties: fc.dictionary(fc.constantFrom('city', 'größe', 'days'), fc.record({ type: fc.constantFrom('string', 'integer') })),
    }),
  }),
});

const chat = fc
  .record(
    {
      messages: fc.array(message, { minLength: 1, maxLength: 12 }),
      tools: fc.array(tool, { minLength: 1, maxLength: 5 }),
      tool_choice: fc.constantFrom('auto', 'none', 'required'),
      response_format: fc.constantFrom(
        { type: 'json_object' },
        { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' } } },
      ),
      n: fc.integer({ min: 1, max: 5 }),
      max_tokens: fc.integer({ min: 1, max: 400 }),
      max_completion_tokens: fc.integer({ min: 1, max: 400 }),
      stream: fc.boolean(),
    },
    { requiredKeys: ['messages'] },
  )
  .map((body) => ({ model: 'demo-echo', ...body }));

const tokens = fc.array(fc.nat(199_999), { minLength: 1, maxLength: 20 });
const embeddings = fc
  .oneof(text, fc.array(text, { minLength: 1, maxLength: 10 }), tokens, fc.array(tokens, { minLength: 1, maxLength: 5 }))
  .map((input) => ({ model: 'demo-echo', input }));

/** What the gateway does before and after the upstream, in short; and the upstream. */
function call(kind: OpenAiKind, body: object, countTokens: ((text: string) => number) | null, lowerTo: number | null) {
  const read = readInferenceRequest(kind, body);
  if (!read.ok) throw new Error(read.defect.message);
  const bounded = boundRequest(read.request, DEMO_MODEL_LIMITS, countTokens);
  if (!bounded.ok) throw new Error(bounded.defect.message);
  let { bound } = bounded;
  if (lowerTo !== null) {
    const outputPerChoice = Math.min(bound.outputPerChoice, Math.max(lowerTo, bound.minOutputPerChoice));
    bound = { ...bound, outputPerChoice };
  }
  const sent = mergeStreamOptions({
    body: read.request.body,
    upstreamModel: 'demo-echo',
    continuousUsage: false,
    outputLimit: bound.sendLimitAs === null ? null : { field: bound.sendLimitAs, tokens: bound.outputPerChoice },
  });
  const path = kind === 'embeddings' ? '/embeddings' : '/chat/completions';
  const settings = { countTokens: (value: string) => tokenizer.count(value), createdAt: 0, models: null, reportUsage: true, text: null };
  const answer = demoAnswer(path, sent.text, settings);
  expect(answer.status).toBe(200);
  const last = read.request.stream ? (answer.pieces.at(-2) ?? '').slice('data: '.length) : (answer.pieces[0] ?? '');
  const usage = normalizeUsage(parseJson(last));
  if (usage === null) throw new Error('the demo upstream always reports');
  return { bound, usage, estimate: estimatePromptTokens(read.request, DEMO_MODEL_LIMITS, countTokens) };
}

function expectWithin(usage: TokenUsage, bound: RequestBound): void {
  expect(usage.promptTokens).toBeLessThanOrEqual(bound.inputTokens);
  expect(usage.completionTokens).toBeLessThanOrEqual(bound.choices * bound.outputPerChoice);
}

describe('actual ≤ hold', () => {
  test('for any chat, with the declared tokenizer', () => {
    fc.assert(
      fc.property(chat, fc.option(fc.integer({ min: 0, max: 300 })), (body, lowerTo) => {
        const { bound, usage } = call('chat', body, (value) => tokenizer.count(value), lowerTo);
        expectWithin(usage, bound);
      }),
      { numRuns: 400 },
    );
  });

  test('for any chat, by bytes where no tokenizer is declared', () => {
    fc.assert(
      fc.property(chat, fc.option(fc.integer({ min: 0, max: 300 })), (body, lowerTo) => {
        const { bound, usage } = call('chat', body, null, lowerTo);
        expectWithin(usage, bound);
      }),
      { numRuns: 300 },
    );
  });

  test('for any embedding', () => {
    fc.assert(
      fc.property(embeddings, fc.boolean(), (body, byTokenizer) => {
        const { bound, usage } = call('embeddings', body, byTokenizer ? (value) => tokenizer.count(value) : null, null);
        expectWithin(usage, bound);
      }),
    );
  });

  test('for a prompt above the size that is tokenized', () => {
    const long = 'the quick brown 東京 fox '.repeat(4_000);
    const { bound, usage } = call(
      'chat',
      { model: 'demo-echo', messages: [{ role: 'user', content: long }] },
      (value) => tokenizer.count(value),
      null,
    );
    expectWithin(usage, bound);
  });

  test('and the hold is not many times the actual: an ordinary chat is bounded within a third and the fixed overhead', () => {
    const content = 'Please write a short note about the history of the castle and its keepers. '.repeat(20);
    const { bound, usage } = call(
      'chat',
      { model: 'demo-echo', messages: [{ role: 'user', content }] },
      (value) => tokenizer.count(value),
      null,
    );
    expect(bound.inputTokens).toBeLessThanOrEqual(usage.promptTokens * 1.33 + DEMO_MODEL_LIMITS.promptOverheadTokens);
  });
});

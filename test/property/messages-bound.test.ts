import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { boundRequest } from '../../src/core/bounds/bound-request.ts';
import { readMessagesRequest } from '../../src/core/bounds/messages-request.ts';
import { callLegs, exceedsHold } from '../../src/core/calls/call-hold.ts';
import { parseJson } from '../../src/core/json/int64.ts';
import { messagesUsageFromObject } from '../../src/core/metering/messages-usage.ts';
import type { TokenUsage } from '../../src/core/metering/token-usage.ts';
import { mergeStreamOptions } from '../../src/core/metering/upstream-body.ts';
import { chargeMicrocents, costNanoUsd, ratesFromPrice } from '../../src/core/pricing/rates.ts';
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
  fc.constantFrom('hello', 'the castle', 'Grüße', '東京から', '😀👩‍👩‍👧‍👦', '\n\n', '   ', '{"a":1}', '12345', '————', 'weather'),
  {
    maxLength: 30,
  },
);
const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 60 }),
  words.map((list) => list.join(' ')),
  fc.tuple(fc.constantFrom('a', ' ', '\n', '😀', 'ß'), fc.nat(400)).map(([unit, count]) => unit.repeat(count)),
);

const textBlock = text.map((value) => ({ type: 'text', text: value }));
const plain = fc.oneof(
  textBlock,
  fc.constant({ type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'AAAA' } }),
  fc.constant({ type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 'AAAA' } }),
  text.map((data) => ({ type: 'document', title: 't', source: { type: 'text', media_type: 'text/plain', data } })),
  fc.array(textBlock, { maxLength: 3 }).map((content) => ({ type: 'document', source: { type: 'content', content } })),
  fc.array(textBlock, { maxLength: 3 }).map((content) => ({ type: 'search_result', source: 's', title: 't', content })),
);
const block = fc.oneof(
  plain,
  text.map((thinking) => ({ type: 'thinking', thinking, signature: 'sig' })),
  text.map((data) => ({ type: 'redacted_thinking', data })),
  fc.jsonValue({ maxDepth: 2 }).map((a) => ({ type: 'tool_use', id: 'toolu_1', name: 'weather', input: { a } })),
  fc.oneof(text, fc.array(plain, { maxLength: 3 })).map((content) => ({ type: 'tool_result', tool_use_id: 'toolu_1', content })),
  fc.constant({ type: 'web_search_tool_result', tool_use_id: 'x', content: [] }),
);
const message = fc.record({ role: fc.constantFrom('user', 'assistant'), content: fc.oneof(text, fc.array(block, { maxLength: 5 })) });
const tool = fc.oneof(
  fc.record({
    name: fc.constantFrom('weather', 'search'),
    description: text,
    input_schema: fc.record({
      type: fc.constant('object'),
      properties: fc.dictionary(fc.constantFrom('city', 'größe'), fc.constant({ type: 'string' })),
    }),
  }),
  fc.constant({ type: 'bash_20250124', name: 'bash' }),
  fc.constant({ type: 'web_search_20250305', name: 'web_search' }),
);
const call = fc
  .record(
    {
      max_tokens: fc.integer({ min: 0, max: 300 }),
      messages: fc.array(message, { minLength: 1, maxLength: 6 }),
      system: fc.oneof(text, fc.array(textBlock, { maxLength: 3 })),
      tools: fc.array(tool, { maxLength: 4 }),
      tool_choice: fc.constantFrom({ type: 'auto' }, { type: 'any' }, { type: 'none' }, { type: 'tool', name: 'search' }),
      stream: fc.boolean(),
    },
    { requiredKeys: ['max_tokens', 'messages'] },
  )
  .map((body) => ({ model: 'demo-echo', ...body }));

/** What the gateway does before and after the upstream, in short; and the upstream. */
function relay(body: object, countTokens: ((value: string) => number) | null) {
  const read = readMessagesRequest('messages', body);
  if (!read.ok) throw new Error(read.defect.message);
  const bounded = boundRequest(read.request, DEMO_MODEL_LIMITS, countTokens);
  if (!bounded.ok) throw new Error(bounded.defect.message);
  const sent = mergeStreamOptions({
    body: read.request.body,
    upstreamModel: 'demo-echo',
    continuousUsage: false,
    dialect: 'anthropic',
    outputLimit: null,
  });
  const settings = { countTokens: (value: string) => tokenizer.count(value), createdAt: 0, models: null, reportUsage: true, text: null };
  const answer = demoAnswer('/messages', sent.text, settings);
  expect(answer.status).toBe(200);
  const reported = answer.pieces
    .map((piece) => parseJson(piece.slice(piece.indexOf('{'))) as { usage?: unknown; message?: { usage?: unknown } })
    .map((each) => messagesUsageFromObject(each.usage ?? each.message?.usage))
    .filter((each) => each !== null);
  const prompt = Math.max(...reported.map(({ promptTokens }) => promptTokens));
  const completion = Math.max(...reported.map(({ completionTokens }) => completionTokens));
  return { bound: bounded.bound, prompt, completion };
}

describe('actual ≤ hold for any message', () => {
  test.each([
    ['with the declared tokenizer', (value: string) => tokenizer.count(value)],
    ['by bytes where no tokenizer is declared', null],
  ])('%s', (_name, countTokens) => {
    fc.assert(
      fc.property(call, (body) => {
        const { bound, prompt, completion } = relay(body, countTokens);
        expect(prompt).toBeLessThanOrEqual(bound.inputTokens);
        expect(completion).toBeLessThanOrEqual(bound.outputPerChoice);
      }),
      { numRuns: 300 },
    );
  });

  test('in money too, whatever part of the prompt is read from a cache or written into one, at any prices', () => {
    const price = fc.integer({ min: 0, max: 100_000 }).map((thousandths) => thousandths / 1000);
    fc.assert(
      fc.property(
        call,
        fc.record(
          { inputPer1m: price, outputPer1m: price, cachedInputPer1m: price, cacheWriteInputPer1m: price },
          { requiredKeys: ['inputPer1m', 'outputPer1m'] },
        ),
        fc.tuple(fc.nat(100), fc.nat(100)),
        (body, declared, [cachedPercent, writtenPercent]) => {
          const { bound, prompt, completion } = relay(body, (value) => tokenizer.count(value));
          const priced = ratesFromPrice(declared);
          if (!priced.ok) throw new Error(priced.message);
          const { rates } = priced;
          const cached = Math.floor((prompt * cachedPercent) / 100);
          const usage: TokenUsage = {
            promptTokens: prompt,
            completionTokens: completion,
            totalTokens: prompt + completion,
            cachedPromptTokens: cached,
            cacheWritePromptTokens: Math.floor(((prompt - cached) * writtenPercent) / 100),
            reasoningTokens: null,
          };
          const legs = callLegs({ tenantId: 't', keyId: 'k', scopes: ['tenant:t'], inputTokens: bound.inputTokens, rates });
          const actuals = { tokens: BigInt(usage.totalTokens), microcents: chargeMicrocents(costNanoUsd(rates, usage)) };
          expect(exceedsHold(legs, BigInt(bound.outputPerChoice), actuals)).toBe(false);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('the dearest kind of input prices the hold: one token written at a higher price than input would pass a smaller one', () => {
    const priced = ratesFromPrice({ inputPer1m: 1, outputPer1m: 0, cacheWriteInputPer1m: 2 });
    if (!priced.ok) throw new Error(priced.message);
    const { cacheWriteInputNanos: _dear, ...cheap } = priced.rates;
    const usage = { promptTokens: 10, completionTokens: 0, cachedPromptTokens: 0, cacheWritePromptTokens: 10 };
    const actuals = { tokens: 10n, microcents: chargeMicrocents(costNanoUsd(priced.rates, usage)) };
    const legs = (rates: typeof cheap) => callLegs({ tenantId: 't', keyId: 'k', scopes: ['tenant:t'], inputTokens: 10, rates });
    expect([exceedsHold(legs(priced.rates), 0n, actuals), exceedsHold(legs(cheap), 0n, actuals)]).toEqual([false, true]);
  });
});

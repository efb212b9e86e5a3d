import { describe, expect, test } from 'vitest';
import { boundRequest, estimatePromptTokens, MAX_TOKENIZED_BYTES, type ModelLimits, type RequestBound } from './bound-request.ts';
import { readInferenceRequest, type OpenAiKind, type InferenceRequest } from './inference-request.ts';

const MODEL: ModelLimits = {
  contextTokens: 10_000,
  maxOutputTokens: 4_000,
  defaultOutputTokens: 500,
  outputLimitField: 'max_completion_tokens',
  promptOverheadTokens: 100,
  marginPercent: 10,
  maxImageTokens: 1_000,
  maxAudioTokens: null,
  maxFileTokens: null,
};

/** One token for each character: easy to count by eye. */
const perCharacter = (text: string): number => text.length;

function request(kind: OpenAiKind, body: unknown): InferenceRequest {
  const read = readInferenceRequest(kind, body);
  if (!read.ok) throw new Error(read.defect.message);
  return read.request;
}

function chat(content: unknown, extra: object = {}): InferenceRequest {
  return request('chat', { model: 'm', messages: [{ role: 'user', content }], ...extra });
}

function bound(of: InferenceRequest, count: ((text: string) => number) | null, model: ModelLimits = MODEL): RequestBound {
  const result = boundRequest(of, model, count);
  if (!result.ok) throw new Error(result.defect.message);
  return result.bound;
}

describe('input, without a tokenizer', () => {
  test.each([
    ['bytes and 16 a message and the overhead', chat('hello'), 4 + 5 + 16 + 100],
    ['bytes, not characters', chat('ü😀'), 4 + 6 + 16 + 100],
    [
      'an image by its declared maximum',
      chat([
        { type: 'text', text: 'hello' },
        { type: 'image_url', image_url: { url: 'x' } },
      ]),
      4 + 5 + 16 + 100 + 1000,
    ],
    ['undeclared media by the context, once', chat([{ type: 'input_audio' }, { type: 'file' }, { type: 'video' }]), 4 + 16 + 100 + 10_000],
    ['tools by their JSON', chat('hello', { tools: [{ a: 1 }] }), 4 + 5 + 9 + 16 + 100],
    ['fields that nobody knows', chat('hello', { documents: ['abc'], prefix: 'abcd' }), 4 + 5 + 7 + 4 + 16 + 100],
    [
      'not what only steers',
      chat('hello', { temperature: 1, stop: ['stop'], logit_bias: { 5: 1 }, metadata: { a: 'b' } }),
      4 + 5 + 16 + 100,
    ],
    ['not more than the context', chat('x'.repeat(50_000)), 10_000 + 100],
    ['embeddings', request('embeddings', { model: 'm', input: ['ab', 'cd'] }), 4 + 32 + 100],
    ['embeddings up to the context each', request('embeddings', { model: 'm', input: ['x'.repeat(50_000), 'x'] }), 20_000 + 100],
    ['tokens by their number', request('embeddings', { model: 'm', input: [[1, 2, 3], [4]] }), 4 + 32 + 100],
  ])('%s', (_name, of, expected) => {
    expect(bound(of, null).inputTokens).toBe(expected);
  });

  test('every string of a message counts: names, tool calls, fields of later servers', () => {
    const message = { role: 'tool', content: 'abc', name: 'defg', tool_call_id: 'hi', reasoning_content: 'jkl', extra: { m: 'n' } };
    const of = request('chat', { model: 'm', messages: [message] });
    expect(bound(of, null).inputTokens).toBe(4 + 3 + 4 + 2 + 3 + '{"m":"n"}'.length + 16 + 100);
  });
});

describe('input, with a tokenizer', () => {
  test('its count, 8 a message, the margin, the overhead', () => {
    // "user" and "hello", joined by one line end.
    expect(bound(chat('hello'), perCharacter).inputTokens).toBe(Math.ceil((4 + 1 + 5 + 8) * 1.1) + 100);
  });

  test('JSON of tools and a half, since templates print it with more white space', () => {
    const schema = '[{"a":1}]'.length;
    expect(bound(chat('hello', { tools: [{ a: 1 }] }), perCharacter).inputTokens).toBe(
      Math.ceil((4 + 1 + 5 + Math.ceil(schema * 1.5) + 8) * 1.1) + 100,
    );
  });

  test('no tokenizer runs over a text that would stop the event loop', () => {
    const never = (): number => {
      throw new Error('must not be called');
    };
    const of = chat('x'.repeat(MAX_TOKENIZED_BYTES));
    const model = { ...MODEL, contextTokens: 1_000_000 };
    expect(bound(of, never, model).inputTokens).toBe(4 + MAX_TOKENIZED_BYTES + 16 + 100);
    expect(estimatePromptTokens(of, model, never)).toBe(Math.ceil((4 + MAX_TOKENIZED_BYTES) / 4) + 4);
  });

  test('one run for the whole text', () => {
    let runs = 0;
    const messages = Array.from({ length: 50 }, () => ({ role: 'user', content: 'hello' }));
    bound(request('chat', { model: 'm', messages }), (text) => {
      runs += 1;
      return text.length;
    });
    expect(runs).toBe(1);
  });
});

describe('output', () => {
  const cases: readonly (readonly [string, InferenceRequest, Partial<RequestBound>])[] = [
    [
      'the model’s default, which may be lowered and must be sent',
      chat('x'),
      { choices: 1, outputPerChoice: 500, minOutputPerChoice: 16, sendLimitAs: 'max_completion_tokens' },
    ],
    ['the caller’s limit, as it is', chat('x', { max_tokens: 7 }), { outputPerChoice: 7, minOutputPerChoice: 7, sendLimitAs: null }],
    ['for each answer', chat('x', { max_tokens: 7, n: 3 }), { choices: 3, outputPerChoice: 7 }],
    ['by the one name that completions know', request('completions', { model: 'm', prompt: 'x' }), { sendLimitAs: 'max_tokens' }],
    ['none for embeddings', request('embeddings', { model: 'm', input: 'x' }), { choices: 0, outputPerChoice: 0, minOutputPerChoice: 0 }],
  ];
  test.each(cases)('%s', (_name, of, expected) => {
    expect(bound(of, null)).toMatchObject(expected);
  });

  test('a default is at least 16 and at most what the model can produce', () => {
    expect(bound(chat('x'), null, { ...MODEL, defaultOutputTokens: 5 })).toMatchObject({ outputPerChoice: 16, minOutputPerChoice: 16 });
    expect(bound(chat('x'), null, { ...MODEL, defaultOutputTokens: 9_000 }).outputPerChoice).toBe(4_000);
    expect(bound(chat('x'), null, { ...MODEL, maxOutputTokens: 8 })).toMatchObject({ outputPerChoice: 8, minOutputPerChoice: 8 });
  });

  test.each(['max_tokens', 'max_completion_tokens'])('%s above what the model can produce is refused, not lowered', (field) => {
    expect(boundRequest(chat('x', { [field]: 4_001 }), MODEL, null)).toMatchObject({
      ok: false,
      defect: { param: field, code: 'invalid_value' },
    });
    expect(boundRequest(chat('x', { [field]: 4_000 }), MODEL, null).ok).toBe(true);
  });
});

describe('the estimate of a prompt', () => {
  test('its count and 4 a message, without margin', () => {
    expect(estimatePromptTokens(chat('hello'), MODEL, perCharacter)).toBe(4 + 1 + 5 + 4);
    expect(estimatePromptTokens(chat('hello'), MODEL, null)).toBe(3 + 4);
  });

  test('comes with the bound, from the same run', () => {
    let runs = 0;
    const count = (text: string): number => {
      runs += 1;
      return text.length;
    };
    expect(boundRequest(chat('hello'), MODEL, count)).toMatchObject({ ok: true, promptTokens: 4 + 1 + 5 + 4 });
    expect(runs).toBe(1);
  });

  test('is never above the bound', () => {
    for (const each of [chat('hello'), chat('x'.repeat(20_000)), request('embeddings', { model: 'm', input: ['a', 'b'] })]) {
      for (const count of [perCharacter, null])
        expect(estimatePromptTokens(each, MODEL, count)).toBeLessThanOrEqual(bound(each, count).inputTokens);
    }
  });
});

import { describe, expect, test } from 'vitest';
import { parseJson } from '../json/int64.ts';
import { readInferenceRequest, type OpenAiKind } from './inference-request.ts';

const CHAT = { model: 'm', messages: [{ role: 'user', content: 'hi' }] };

describe('what is read', () => {
  test.each([
    ['chat', CHAT, { model: 'm', stream: false, choices: 1, outputLimit: null }],
    [
      'chat',
      { ...CHAT, stream: true, stream_options: { include_usage: true }, n: 3, max_tokens: 5 },
      { stream: true, choices: 3, outputLimit: 5 },
    ],
    ['chat', { ...CHAT, max_tokens: 5, max_completion_tokens: 9 }, { outputLimit: 9 }],
    ['chat', { ...CHAT, n: null, max_tokens: null, stream: null, stream_options: null }, { stream: false, choices: 1, outputLimit: null }],
    ['chat', { model: 'm', messages: [{ role: 'assistant', content: null, tool_calls: [] }] }, { choices: 1 }],
    ['chat', { model: 'm', messages: [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }] }, { choices: 1 }],
    ['completions', { model: 'm', prompt: 'hi', n: 2, best_of: 5 }, { choices: 5 }],
    ['completions', { model: 'm', prompt: ['a', 'b', 'c'], n: 2 }, { choices: 6 }],
    ['completions', { model: 'm', prompt: [1, 2, 3], n: 2 }, { choices: 2 }],
    ['completions', { model: 'm', prompt: [[1, 2], [3]] }, { choices: 2 }],
    ['embeddings', { model: 'm', input: ['a', 'b'] }, { choices: 1, stream: false }],
    ['embeddings', { model: 'm', input: [[1], [2, 3]] }, { outputLimit: null }],
  ] as const)('%s %j', (kind, body, expected) => {
    const read = readInferenceRequest(kind, body);
    expect(read).toMatchObject({ ok: true, request: { kind, body, ...expected } });
  });
});

describe('what is refused, with the field', () => {
  const cases: readonly (readonly [OpenAiKind, string, string | null])[] = [
    ['chat', '[]', null],
    ['chat', 'null', null],
    ['chat', '"x"', null],
    ['chat', '{"messages":[]}', 'model'],
    ['chat', '{"model":null,"messages":[]}', 'model'],
    ['chat', '{"model":5,"messages":[]}', 'model'],
    ['chat', '{"model":"","messages":[]}', 'model'],
    ['chat', `{"model":"${'m'.repeat(257)}"}`, 'model'],
    ['chat', '{"model":"m","stream":"true"}', 'stream'],
    ['chat', '{"model":"m","stream":1}', 'stream'],
    ['chat', '{"model":"m","stream":true,"stream_options":[]}', 'stream_options'],
    ['chat', '{"model":"m","stream_options":{"include_usage":true},"messages":[]}', 'stream_options'],
    ['chat', '{"model":"m","stream":true,"stream_options":{"include_usage":"yes"}}', 'stream_options.include_usage'],
    ['chat', '{"model":"m"}', 'messages'],
    ['chat', '{"model":"m","messages":"hi"}', 'messages'],
    ['chat', '{"model":"m","messages":{}}', 'messages'],
    ['chat', '{"model":"m","messages":[]}', 'messages'],
    ['chat', '{"model":"m","messages":["hi"]}', 'messages[0]'],
    ['chat', '{"model":"m","messages":[{"role":"user"},{"content":"x"}]}', 'messages[1].role'],
    ['chat', '{"model":"m","messages":[{"role":"user","content":5}]}', 'messages[0].content'],
    ['chat', '{"model":"m","messages":[{"role":"user","content":["hi"]}]}', 'messages[0].content[0]'],
    ['chat', '{"model":"m","messages":[{"role":"user","content":[{"text":"hi"}]}]}', 'messages[0].content[0]'],
    ['completions', '{"model":"m"}', 'prompt'],
    ['completions', '{"model":"m","prompt":5}', 'prompt'],
    ['completions', '{"model":"m","prompt":["a",1]}', 'prompt[1]'],
    ['embeddings', '{"model":"m","input":{}}', 'input'],
    ['embeddings', '{"model":"m","input":[]}', 'input'],
    ['embeddings', '{"model":"m","input":[1,2.5]}', 'input[0]'],
    ['embeddings', '{"model":"m","input":[[1],["a"]]}', 'input[1]'],
    ['embeddings', '{"model":"m","input":"a","stream":true}', 'stream'],
  ];
  test.each(cases)('%s %s: %s', (kind, body, param) => {
    const read = readInferenceRequest(kind, parseJson(body));
    expect(read).toMatchObject({ ok: false, defect: { param } });
  });

  const limits = ['max_tokens', 'max_completion_tokens', 'n', 'best_of'] as const;
  const values = ['0', '-1', '1.5', '"5"', 'true', '[]', '{}', '9007199254740993', '1e300', '2147483648'];
  test.each(limits.flatMap((field) => values.map((value) => [field, value] as const)))('%s %s', (field, value) => {
    const body = parseJson(`{"model":"m","messages":[{"role":"user","content":"x"}],"${field}":${value}}`);
    expect(readInferenceRequest('chat', body)).toMatchObject({ ok: false, defect: { param: field } });
  });

  test('more than 128 answers', () => {
    expect(readInferenceRequest('chat', { ...CHAT, n: 128 }).ok).toBe(true);
    expect(readInferenceRequest('chat', { ...CHAT, n: 129 })).toMatchObject({ ok: false, defect: { param: 'n' } });
  });
});

import { describe, expect, test } from 'vitest';
import { parseJson } from '../json/int64.ts';
import { readMessagesRequest } from './messages-request.ts';
import { readRequest } from './read-request.ts';

const CALL = { model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'x' }] };

describe('a request that keeps the rules', () => {
  test.each([
    ['the least', CALL, { stream: false, outputLimit: 5 }],
    ['a stream', { ...CALL, stream: true }, { stream: true }],
    ['models for the router to fall back to', { ...CALL, fallbacks: ['n'] }, { stream: false }],
    ['absent fields as null', { ...CALL, stream: null, system: null, tools: null, fallbacks: null }, { stream: false }],
    ['a limit of 0', { ...CALL, max_tokens: 0 }, { outputLimit: 0 }],
    ['a system prompt', { ...CALL, system: 'be brief' }, {}],
    ['a system prompt in blocks', { ...CALL, system: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral' } }] }, {}],
    ['blocks in blocks', { ...CALL, messages: [{ role: 'user', content: [{ type: 'tool_result', content: [{ type: 'image' }] }] }] }, {}],
    ['blocks that nobody knows', { ...CALL, messages: [{ role: 'user', content: [{ type: 'hologram', content: 5 }] }] }, {}],
    [
      'tools',
      {
        ...CALL,
        tools: [
          { name: 't', input_schema: {} },
          { type: 'bash_20250124', name: 'bash' },
        ],
      },
      {},
    ],
  ])('%s', (_name, body, expected) => {
    expect(readMessagesRequest('messages', body)).toMatchObject({
      ok: true,
      request: { kind: 'messages', model: 'm', choices: 1, ...expected },
    });
  });

  test('a count of tokens needs no limit', () => {
    const { max_tokens: _limit, ...count } = CALL;
    expect(readMessagesRequest('count_tokens', count)).toMatchObject({ ok: true, request: { kind: 'count_tokens', stream: false } });
  });

  test('the body is not changed', () => {
    const body = Object.freeze({ ...CALL, messages: Object.freeze([Object.freeze({ role: 'user', content: 'x' })]) });
    const read = readMessagesRequest('messages', body);
    expect(read.ok && read.request.body).toBe(body);
  });
});

describe('the first defect is named', () => {
  test.each([
    ['5', null],
    ['[]', null],
    ['{}', 'model'],
    ['{"model":5}', 'model'],
    ['{"model":"m","stream":"yes"}', 'stream'],
    ['{"model":"m"}', 'messages'],
    ['{"model":"m","messages":{}}', 'messages'],
    ['{"model":"m","messages":[]}', 'messages'],
    ['{"model":"m","messages":["x"]}', 'messages[0]'],
    ['{"model":"m","messages":[{"content":"x"}]}', 'messages[0].role'],
    ['{"model":"m","messages":[{"role":"user"}]}', 'messages[0].content'],
    ['{"model":"m","messages":[{"role":"user","content":5}]}', 'messages[0].content'],
    ['{"model":"m","messages":[{"role":"user","content":["x"]}]}', 'messages[0].content[0]'],
    ['{"model":"m","messages":[{"role":"user","content":[{"text":"x"}]}]}', 'messages[0].content[0]'],
    [
      '{"model":"m","messages":[{"role":"user","content":[{"type":"tool_result","content":[{"text":"x"}]}]}]}',
      'messages[0].content[0].content[0]',
    ],
    ['{"model":"m","messages":[{"role":"user","content":"x"}],"system":5}', 'system'],
    ['{"model":"m","messages":[{"role":"user","content":"x"}],"system":[{}]}', 'system[0]'],
    ['{"model":"m","messages":[{"role":"user","content":"x"}],"tools":{}}', 'tools'],
    ['{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[5]}', 'tools[0]'],
    ['{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[{"type":"advisor_1","model":"dear"}]}', 'tools[0].model'],
    ['{"model":"m","messages":[{"role":"user","content":"x"}],"fallbacks":[{"model":"n"}]}', 'fallbacks'],
    ['{"model":"m","messages":[{"role":"user","content":"x"}],"fallbacks":"n"}', 'fallbacks'],
    ['{"model":"m","messages":[{"role":"user","content":"x"}]}', 'max_tokens'],
    ...['-1', '1.5', '"5"', 'true', '[]', '9007199254740993', '2147483648'].map((limit) => [
      `{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":${limit}}`,
      'max_tokens',
    ]),
  ] as (readonly [string, string | null])[])('%s: %s', (body, param) => {
    const read = readMessagesRequest('messages', parseJson(body));
    expect(read).toMatchObject({ ok: false, defect: { param } });
    if (!read.ok && param !== null) expect(read.defect.message).toContain(param);
  });
});

test('each API reads by its own rules', () => {
  expect(readRequest('messages', CALL)).toMatchObject({ ok: true, request: { kind: 'messages' } });
  expect(readRequest('chat', { ...CALL, fallbacks: [] })).toMatchObject({ ok: true, request: { kind: 'chat' } });
});

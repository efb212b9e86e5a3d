import { describe, expect, test } from 'vitest';
import { boundRequest, type ModelLimits } from './bound-request.ts';
import { readMessagesRequest } from './messages-request.ts';
import { messagesParts } from './messages-parts.ts';

const MODEL: ModelLimits = {
  contextTokens: 100_000,
  maxOutputTokens: 4_000,
  defaultOutputTokens: 500,
  outputLimitField: 'max_tokens',
  promptOverheadTokens: 100,
  marginPercent: 10,
  maxImageTokens: 1_000,
  maxAudioTokens: null,
  maxFileTokens: 5_000,
};

const request = (content: unknown, extra: object = {}) => {
  const read = readMessagesRequest('messages', { model: 'm', max_tokens: 50, messages: [{ role: 'user', content }], ...extra });
  if (!read.ok) throw new Error(read.defect.message);
  return read.request;
};

/** Input bound by bytes, without a tokenizer. */
const input = (content: unknown, extra: object = {}): number => {
  const result = boundRequest(request(content, extra), MODEL, null);
  if (!result.ok) throw new Error(result.defect.message);
  return result.bound.inputTokens;
};

/** A message with the role `user`, its framing, and the overhead. */
const FRAME = 4 + 16 + 100;
/** A block's own framing. */
const BLOCK = 16;

describe('input, by bytes', () => {
  test.each([
    ['a text', 'hello', {}, 5 + FRAME],
    [
      'text blocks, without the marks of the cache',
      [{ type: 'text', text: 'hello', cache_control: { type: 'ephemeral' } }],
      {},
      5 + BLOCK + FRAME,
    ],
    ['a system prompt', 'hello', { system: 'brief' }, 5 + 5 + 16 + FRAME],
    ['a system prompt in blocks', 'hello', { system: [{ type: 'text', text: 'brief' }] }, 5 + 5 + 16 + BLOCK + FRAME],
    ['thinking that is given back', [{ type: 'thinking', thinking: 'abc', signature: 'sig' }], {}, 6 + BLOCK + FRAME],
    ['the same in a form that only the upstream reads', [{ type: 'redacted_thinking', data: 'abcd' }], {}, 4 + BLOCK + FRAME],
    ['a call of a tool', [{ type: 'tool_use', id: 'i', name: 'nm', input: { a: 1 } }], {}, 1 + 2 + 7 + BLOCK + FRAME],
    ['its result', [{ type: 'tool_result', tool_use_id: 'i', content: 'abc' }], {}, 1 + 3 + BLOCK + FRAME],
    [
      'its result in blocks, with an image',
      [
        {
          type: 'tool_result',
          tool_use_id: 'i',
          content: [
            { type: 'text', text: 'abc' },
            { type: 'image', source: { data: 'x'.repeat(999) } },
          ],
        },
      ],
      {},
      1 + 3 + BLOCK + BLOCK + 1000 + FRAME,
    ],
    ['an image by its declared maximum', [{ type: 'image', source: { type: 'base64', data: 'x'.repeat(999) } }], {}, 1000 + FRAME],
    ['a document by its declared maximum', [{ type: 'document', source: { type: 'base64', data: 'x' } }], {}, 5000 + BLOCK + FRAME],
    [
      'a document of plain text by that text',
      [{ type: 'document', title: 'ti', context: 'con', source: { type: 'text', data: 'hello' } }],
      {},
      10 + BLOCK + FRAME,
    ],
    [
      'a document of blocks',
      [{ type: 'document', source: { type: 'content', content: [{ type: 'text', text: 'hello' }] } }],
      {},
      5 + 2 * BLOCK + FRAME,
    ],
    [
      'results of a search',
      [{ type: 'search_result', title: 'ti', source: 'src', content: [{ type: 'text', text: 'hello' }] }],
      {},
      10 + 2 * BLOCK + FRAME,
    ],
    ['a schema of the output', 'hello', { output_config: { a: 1 } }, 5 + 7 + FRAME],
    ['fields that nobody knows', 'hello', { prefix: 'abc' }, 5 + 3 + FRAME],
    [
      'not what only steers',
      'hello',
      { temperature: 1, stop_sequences: ['stop'], metadata: { user_id: 'u' }, thinking: { type: 'enabled', budget_tokens: 5 } },
      5 + FRAME,
    ],
    [
      'not what only makes the prompt smaller',
      'hello',
      { context_management: { edits: [{ type: 'clear_thinking_20251015' }] } },
      5 + FRAME,
    ],
  ])('%s', (_name, content, extra, expected) => {
    expect(input(content, extra)).toBe(expected);
  });

  test.each([
    ['a block that nobody knows', [{ type: 'web_search_tool_result', content: [] }], {}],
    ['a tool that the upstream runs', 'hello', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }],
    ['a container', 'hello', { container: 'c_1' }],
    ['servers that the upstream asks', 'hello', { mcp_servers: [{ url: 'https://mcp.example' }] }],
    ['summaries that the upstream makes', 'hello', { context_management: { edits: [{ type: 'compact_20260112' }] } }],
  ])('%s counts as the context', (_name, content, extra) => {
    expect(input(content, extra)).toBeGreaterThanOrEqual(MODEL.contextTokens);
  });

  test('tools bring instructions of their own, those that the upstream describes more of them', () => {
    const plain = input('hello', { tools: [{ name: 't', input_schema: {} }] });
    const described = input('hello', { tools: [{ type: 'text_editor_20250728', name: 't' }] });
    expect(plain).toBeGreaterThan(input('hello') + 400);
    expect(described).toBeGreaterThan(plain + 1200);
    expect(input('hello', { tools: [] })).toBe(input('hello'));
  });

  test('not more than the context', () => {
    expect(input('x'.repeat(500_000))).toBe(100_000 + 100);
  });
});

test('output is what the caller set, and nothing is lowered or sent in its place', () => {
  const result = boundRequest(request('hello'), MODEL, null);
  expect(result).toMatchObject({ ok: true, bound: { choices: 1, outputPerChoice: 50, minOutputPerChoice: 50, sendLimitAs: null } });
  expect(boundRequest(request('hello', { max_tokens: 4001 }), MODEL, null)).toMatchObject({ ok: false, defect: { param: 'max_tokens' } });
});

test('a count of tokens uses nothing', () => {
  const read = readMessagesRequest('count_tokens', { model: 'm', messages: [{ role: 'user', content: 'x' }] });
  if (!read.ok) throw new Error(read.defect.message);
  expect(boundRequest(read.request, MODEL, null)).toMatchObject({ ok: true, bound: { inputTokens: 0, choices: 0 }, promptTokens: 0 });
});

test('every text of a request is counted once', () => {
  const { texts } = messagesParts(
    request(
      [
        { type: 'text', text: 'a' },
        { type: 'tool_result', tool_use_id: 'b', content: [{ type: 'text', text: 'c' }] },
      ],
      { system: 'd' },
    ),
  );
  expect(texts.toSorted()).toEqual(['a', 'b', 'c', 'd', 'user']);
});

import { messagesAnswer, messagesEvent, messagesStream } from '../support/messages-upstream.ts';

/** What an answer used, in tokens. */
export interface Used {
  readonly prompt: number;
  readonly completion: number;
  readonly cached?: number;
  readonly cacheWrite?: number;
  readonly reasoning?: number;
}

/** One answer of an upstream, byte for byte, and what it has to be metered as. */
export interface MeteringCase {
  readonly name: string;
  readonly route: '/chat/completions' | '/embeddings' | '/messages';
  /** What the caller asks beside model and prompt. */
  readonly asked: object;
  readonly contentType: string;
  readonly body: string;
  /** The connection breaks after these bytes, so that nothing can be relayed as whole. */
  readonly isCut?: boolean;
  readonly used: Used;
  /** We had to count it ourselves, as least in part. */
  readonly estimated?: boolean;
  /** What the caller gets, where that is not the body as it came. */
  readonly relayed?: string;
}

/** The prompt of every call, and what it is estimated as where the upstream reports nothing: a token for four bytes, and four for the message. */
export const PROMPT = 'Who keeps the keys?';
export const ESTIMATED_PROMPT = Math.ceil(`user${PROMPT}`.length / 4) + 4;

const JSON_TYPE = 'application/json';
const SSE_TYPE = 'text/event-stream';

const data = (value: unknown): string => `data: ${JSON.stringify(value)}\n\n`;
const delta = (content: string, more: object = {}): string => data({ model: 'up', choices: [{ index: 0, delta: { content } }], ...more });
const usageOf = (prompt_tokens: number, completion_tokens: number, more: object = {}): object => ({
  prompt_tokens,
  completion_tokens,
  total_tokens: prompt_tokens + completion_tokens,
  ...more,
});
const usageChunk = (prompt: number, completion: number, more: object = {}): string =>
  data({ model: 'up', choices: [], usage: usageOf(prompt, completion, more) });
const DONE = 'data: [DONE]\n\n';
const TEXT = delta('The ') + delta('castellän');

const chat = (
  name: string,
  rest: Omit<MeteringCase, 'name' | 'route' | 'asked' | 'contentType'> & Partial<MeteringCase>,
): MeteringCase => ({
  name,
  route: '/chat/completions',
  asked: { stream: true, stream_options: { include_usage: true } },
  contentType: SSE_TYPE,
  ...rest,
});

const whole = (name: string, body: object | string, used: Used, rest: Partial<MeteringCase> = {}): MeteringCase => ({
  name,
  route: '/chat/completions',
  asked: {},
  contentType: JSON_TYPE,
  body: typeof body === 'string' ? body : JSON.stringify(body),
  used,
  ...rest,
});

const message = (name: string, body: string, used: Used, rest: Partial<MeteringCase> = {}): MeteringCase => ({
  name,
  route: '/messages',
  asked: { stream: true },
  contentType: SSE_TYPE,
  body,
  used,
  ...rest,
});

const crlf = (text: string): string => text.replaceAll('\n', '\r\n');
const CHOICES = [{ index: 0, message: { role: 'assistant', content: 'The castellan' }, finish_reason: 'stop' }];

/** A data line of exactly `bytes` bytes that holds a delta. */
function longLine(bytes: number, more: object = {}): string {
  const empty = delta('', more).trimEnd();
  return delta('x'.repeat(bytes - empty.length), more);
}

const MIB = 1024 * 1024;

const CACHE_START = { input_tokens: 11, cache_creation_input_tokens: 29, cache_read_input_tokens: 31, output_tokens: 2 };
const CACHE_USED = { prompt: 71, cached: 31, cacheWrite: 29 };

/** Small enough to be sent in as many ways as it has bytes. */
export const SPLIT_CASE = chat('a usage chunk with empty choices', {
  asked: { stream: true },
  body: TEXT + usageChunk(17, 5) + DONE,
  relayed: TEXT + DONE,
  used: { prompt: 17, completion: 5 },
});

/** Every answer that has to be metered exactly. */
export const CORPUS: readonly MeteringCase[] = [
  SPLIT_CASE,
  chat('the same for a caller who asked for it', { body: TEXT + usageChunk(17, 5) + DONE, used: { prompt: 17, completion: 5 } }),
  chat('usage in a chunk with content', {
    asked: { stream: true },
    body: delta('The ') + delta('castellan', { usage: usageOf(17, 5) }) + DONE,
    used: { prompt: 17, completion: 5 },
  }),
  chat('no usage at all', { body: TEXT + DONE, used: { prompt: ESTIMATED_PROMPT, completion: Math.ceil(14 / 3) }, estimated: true }),
  chat('usage that is null, and none else', {
    body: delta('abc', { usage: null }) + delta('def', { usage: null }) + DONE,
    used: { prompt: ESTIMATED_PROMPT, completion: 2 },
    estimated: true,
  }),
  chat('usage on the last data line, without an end of line', {
    body: TEXT + usageChunk(17, 5).trimEnd(),
    used: { prompt: 17, completion: 5 },
  }),
  chat('the same, taken out for a caller who did not ask', {
    asked: { stream: true },
    body: TEXT + usageChunk(17, 5).trimEnd(),
    relayed: TEXT,
    used: { prompt: 17, completion: 5 },
  }),
  chat('cached and reasoning tokens', {
    body:
      TEXT +
      usageChunk(101, 53, { prompt_tokens_details: { cached_tokens: 37 }, completion_tokens_details: { reasoning_tokens: 41 } }) +
      DONE,
    used: { prompt: 101, completion: 53, cached: 37, reasoning: 41 },
  }),
  chat('more cached than prompt', {
    body: usageChunk(10, 1, { prompt_tokens_details: { cached_tokens: 37 } }) + DONE,
    used: { prompt: 10, completion: 1, cached: 10 },
  }),
  chat('tokens that a proxy reports as written into a cache', {
    body: usageChunk(100, 1, { prompt_tokens_details: { cached_tokens: 30, cache_write_tokens: 20 } }) + DONE,
    used: { prompt: 100, completion: 1, cached: 30, cacheWrite: 20 },
  }),
  chat('zero usage', { body: usageChunk(0, 0) + DONE, used: { prompt: 0, completion: 0 } }),
  chat('CRLF and comment lines', {
    body: `: welcome\r\n\r\n${crlf(TEXT)}: ping\r\nid: 7\r\nretry: 5\r\n${crlf(usageChunk(17, 5))}: bye\r\n\r\n${crlf(DONE)}`,
    used: { prompt: 17, completion: 5 },
  }),
  chat('CRLF, usage taken out with its blank line', {
    asked: { stream: true },
    body: crlf(TEXT + usageChunk(17, 5) + DONE),
    relayed: crlf(TEXT + DONE),
    used: { prompt: 17, completion: 5 },
  }),
  chat('CR alone, with comment lines', {
    body: `: welcome\r\r${TEXT}: ping\rid: 7\r${usageChunk(17, 5)}${DONE}`.replaceAll('\n', '\r'),
    used: { prompt: 17, completion: 5 },
  }),
  chat('CR alone, usage taken out with its blank line', {
    asked: { stream: true },
    body: (TEXT + usageChunk(17, 5) + DONE).replaceAll('\n', '\r'),
    relayed: (TEXT + DONE).replaceAll('\n', '\r'),
    used: { prompt: 17, completion: 5 },
  }),
  chat('one JSON text over several data lines', {
    body: `data: {"choices":[],\ndata: "usage":\ndata:{"prompt_tokens":17,"completion_tokens":5}}\n\n${DONE}`,
    used: { prompt: 17, completion: 5 },
  }),
  chat('a line of 4 MiB that is read', {
    body: longLine(4 * MIB - 2, { usage: usageOf(17, 5) }) + DONE,
    used: { prompt: 17, completion: 5 },
  }),
  chat('a line above 4 MiB, which passes unread, before a usage chunk', {
    asked: { stream: true },
    body: longLine(4 * MIB + 100, { usage: usageOf(1, 1) }) + usageChunk(17, 5) + DONE,
    relayed: longLine(4 * MIB + 100, { usage: usageOf(1, 1) }) + DONE,
    used: { prompt: 17, completion: 5 },
  }),
  chat('continuous usage', {
    asked: { stream: true, stream_options: { continuous_usage_stats: true } },
    body:
      delta('a', { usage: usageOf(17, 1, { prompt_tokens_details: { cached_tokens: 8 } }) }) +
      delta('b', { usage: usageOf(17, 2) }) +
      delta('c', { usage: usageOf(17, 3) }) +
      usageChunk(17, 3) +
      DONE,
    used: { prompt: 17, completion: 3, cached: 8 },
  }),
  chat('continuous usage of a stream that is cut: the last report, and the text behind it', {
    asked: { stream: true, stream_options: { continuous_usage_stats: true } },
    body: delta('a', { usage: usageOf(17, 1) }) + delta('b', { usage: usageOf(17, 2) }) + delta('sevenby'),
    isCut: true,
    used: { prompt: 17, completion: 2 + 3 },
    estimated: true,
  }),
  chat('a stream that is cut before it reports', {
    body: TEXT,
    isCut: true,
    used: { prompt: ESTIMATED_PROMPT, completion: Math.ceil(14 / 3) },
    estimated: true,
  }),
  chat('a stream that is cut in the middle of its usage chunk', {
    body: TEXT + usageChunk(17, 5).slice(0, -20),
    isCut: true,
    // What cannot be read as JSON counts as nothing, but the text before it does.
    used: { prompt: ESTIMATED_PROMPT, completion: Math.ceil(14 / 3) },
    estimated: true,
  }),
  chat('a stream that is cut after its usage chunk: its count stands, but its end was not seen', {
    body: TEXT + usageChunk(17, 5),
    isCut: true,
    used: { prompt: 17, completion: 5 },
    estimated: true,
  }),
  chat('a last report of nothing', { body: usageChunk(17, 5) + usageChunk(0, 0) + DONE, used: { prompt: 17, completion: 5 } }),
  whole(
    'embeddings with a total only',
    { object: 'list', data: [{ embedding: [0.5] }], usage: { total_tokens: 23 } },
    { prompt: 23, completion: 0 },
    {
      route: '/embeddings',
    },
  ),
  whole(
    'embeddings with a total beside zeros',
    { data: [], usage: usageOf(0, 0, { total_tokens: 23 }) },
    { prompt: 23, completion: 0 },
    {
      route: '/embeddings',
    },
  ),
  whole('a whole answer', { model: 'up', choices: CHOICES, usage: usageOf(17, 5) }, { prompt: 17, completion: 5 }),
  whole(
    'usage before the choices, with white space',
    `{ "usage" :\n${JSON.stringify(usageOf(17, 5))} ,"choices": ${JSON.stringify(CHOICES)}}\n`,
    {
      prompt: 17,
      completion: 5,
    },
  ),
  whole(
    'the word in a text, and deeper down',
    { choices: [{ message: { content: '"usage":{"prompt_tokens":9}', usage: usageOf(8, 8) } }], usage: usageOf(17, 5) },
    { prompt: 17, completion: 5 },
  ),
  whole(
    'a whole answer without usage',
    { choices: CHOICES },
    { prompt: ESTIMATED_PROMPT, completion: Math.ceil(13 / 3) },
    { estimated: true },
  ),
  whole(
    'an answer of 5 MiB, usage last',
    { choices: [{ message: { content: 'x'.repeat(5 * MIB) } }], usage: usageOf(17, 5) },
    {
      prompt: 17,
      completion: 5,
    },
  ),
  whole(
    'an answer of 5 MiB, usage first',
    { usage: usageOf(17, 5), choices: [{ message: { content: '"'.repeat(3 * MIB) } }] },
    {
      prompt: 17,
      completion: 5,
    },
  ),
  message(
    'a stream of messages, with its cache',
    messagesStream({ start: CACHE_START, text: ['The ', 'castellän'], end: { output_tokens: 13 } }).join(''),
    { ...CACHE_USED, completion: 13 },
  ),
  message(
    'a stream of messages whose end repeats all counts',
    messagesStream({ start: CACHE_START, text: ['a'], end: { ...CACHE_START, output_tokens: 13 } }).join(''),
    { ...CACHE_USED, completion: 13 },
  ),
  message(
    'a stream of messages without usage',
    messagesStream({ start: null, text: ['abc', 'def'], end: null }).join(''),
    {
      prompt: ESTIMATED_PROMPT,
      completion: 2,
    },
    { estimated: true },
  ),
  message(
    'a stream of messages that an error ends',
    messagesStream({ start: CACHE_START, text: ['abcdef', 'ghi'], end: null })
      .slice(0, 5)
      .join('') + messagesEvent('error', { error: { type: 'overloaded_error', message: 'Overloaded' } }),
    { ...CACHE_USED, completion: 3 },
    { estimated: true },
  ),
  message(
    'a stream of messages that is cut',
    messagesStream({ start: CACHE_START, text: ['abcdef', 'ghi'], end: null })
      .slice(0, 5)
      .join(''),
    { ...CACHE_USED, completion: 3 },
    { estimated: true, isCut: true },
  ),
  message(
    'a whole message',
    messagesAnswer({ ...CACHE_START, output_tokens: 13 }),
    { ...CACHE_USED, completion: 13 },
    {
      asked: {},
      contentType: JSON_TYPE,
    },
  ),
];

/** The request of a case; its prompt is the same in every API. */
export const requestOf = ({ route, asked }: MeteringCase): object => {
  if (route === '/embeddings') return { model: 'm', input: PROMPT, ...asked };
  const messages = [{ role: 'user', content: PROMPT }];
  return { model: 'm', messages, ...(route === '/messages' ? { max_tokens: 4_000_000 } : {}), ...asked };
};

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { UpstreamClient, UpstreamRequest, UpstreamResponse } from '../../src/ports/upstream.ts';
import { makeDemoClient } from '../../src/upstreams/demo/demo-client.ts';
import { makeOpenAiClient } from '../../src/upstreams/openai-compatible/openai-client.ts';
import { makeTokenizers } from '../../src/upstreams/tokenizers/tokenizers.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';

const CHAT = { model: 'demo-echo', messages: [{ role: 'user', content: 'Say hello to the castle' }], max_tokens: 50 };

function post(body: unknown, rest: Partial<UpstreamRequest> = {}): UpstreamRequest {
  return {
    path: '/chat/completions',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal: null,
    timeouts: { headersMs: 10_000, idleMs: 10_000 },
    ...rest,
  };
}

interface ToolCall {
  readonly id?: string;
  readonly function: { readonly name?: string; readonly arguments: string };
}

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
}

/** The fields of whole answers that the tests look at. */
interface Answer {
  readonly id: string;
  readonly choices: readonly { message: { content: string; tool_calls: readonly ToolCall[] }; finish_reason: string }[];
  readonly data: readonly { embedding: string | readonly number[] }[];
  readonly usage: Usage;
  readonly error?: { readonly message: string; readonly type: string; readonly param: string | null };
}

/** The fields of stream chunks that the tests look at. */
interface Chunk {
  readonly choices: readonly { delta: { content?: string; tool_calls?: readonly ToolCall[] } }[];
  readonly usage: Usage | null;
}

async function readText(response: UpstreamResponse): Promise<string> {
  const { pieces } = await response.body.readAll(10_000_000);
  return Buffer.concat(pieces).toString();
}

async function readJson(response: UpstreamResponse): Promise<Answer> {
  return JSON.parse(await readText(response)) as Answer;
}

async function readPieces(response: UpstreamResponse): Promise<string[]> {
  const pieces: string[] = [];
  for await (const piece of response.body) pieces.push(Buffer.from(piece).toString());
  return pieces;
}

function events(text: string): Chunk[] {
  return text
    .split('\n\n')
    .filter((event) => event !== '' && event !== 'data: [DONE]')
    .map((event) => JSON.parse(event.slice('data: '.length)) as Chunk);
}

let server: OpenAiServer;
const clients = new Map<string, UpstreamClient>();

beforeAll(async () => {
  server = await startOpenAiServer();
  clients.set('demo', makeDemoClient({ tokenizers: makeTokenizers(), clock: { nowMs: () => 1_700_000_000_000 } }));
  clients.set('openai-compatible', httpClient());
});

afterAll(async () => {
  for (const client of clients.values()) await client.close();
  await server.close();
});

function httpClient(apiKey: string | null = 'sk-upstream'): UpstreamClient {
  return makeOpenAiClient({ name: 'peer', baseUrl: server.url, apiKey, connections: null, connectTimeoutMs: 2_000 });
}

describe.each(['demo', 'openai-compatible'])('%s', (name) => {
  const send = (request: UpstreamRequest): Promise<UpstreamResponse> => {
    const client = clients.get(name);
    if (client === undefined) throw new Error(`no client ${name}`);
    return client.send(request);
  };

  test('answers a chat with its usage', async () => {
    const response = await send(post(CHAT));
    expect(response.status).toBe(200);
    expect(response.headers['content-type']).toContain('application/json');
    const answer = await readJson(response);
    expect(answer).toMatchObject({
      object: 'chat.completion',
      model: 'demo-echo',
      choices: [{ index: 0, message: { role: 'assistant', content: 'You said: Say hello to the castle' }, finish_reason: 'stop' }],
    });
    const { usage } = answer;
    expect(usage.prompt_tokens).toBeGreaterThan(5);
    expect(usage.completion_tokens).toBeGreaterThan(5);
    expect(usage.total_tokens).toBe(usage.prompt_tokens + usage.completion_tokens);
  });

  test.each([
    ['/chat/completions', '{"model":"demo-echo","messages":[{"role":"user","content":"hi"}],"tools":[{"n":9007199254740993}]}'],
    ['/completions', '{"model":"demo-echo","prompt":["hi"],"metadata":{"n":9007199254740993}}'],
    ['/embeddings', '{"model":"demo-echo","input":[[1],[2]],"metadata":{"n":9007199254740993}}'],
  ])('answers %s with an integer past 2^53 in its body', async (path, body) => {
    const response = await send(post(null, { path, body }));
    expect([response.status, (await readJson(response)).error]).toEqual([200, undefined]);
  });

  test('the same request gets the same answer', async () => {
    expect(await readText(await send(post(CHAT)))).toBe(await readText(await send(post(CHAT))));
  });

  test('streams in several pieces, the same text and usage, and ends with [DONE]', async () => {
    const whole = await readJson(await send(post(CHAT)));
    const response = await send(post({ ...CHAT, stream: true, stream_options: { include_usage: true } }));
    expect(response.headers['content-type']).toContain('text/event-stream');
    const pieces = await readPieces(response);
    expect(pieces.length).toBeGreaterThan(3);
    const text = pieces.join('');
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true);
    const chunks = events(text);
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(whole.choices[0]?.message.content);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage });
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true);
  });

  test('reports usage in a stream only if asked, and continuously only if asked', async () => {
    const silent = events(await readText(await send(post({ ...CHAT, stream: true }))));
    expect(silent.some((chunk) => 'usage' in chunk)).toBe(false);
    const options = { include_usage: true, continuous_usage_stats: true };
    const continuous = events(await readText(await send(post({ ...CHAT, stream: true, stream_options: options }))));
    const counts = continuous.map((chunk) => chunk.usage?.completion_tokens ?? -1);
    expect(counts).toStrictEqual(counts.toSorted((a, b) => a - b));
    expect(counts.at(-1)).toBe(counts.at(-2));
  });

  test.each([1, 2, 3, 7, 12])('keeps to max_tokens %i, in every choice', async (maxTokens) => {
    const answer = await readJson(await send(post({ ...CHAT, max_tokens: maxTokens, n: 3 })));
    expect(answer.choices).toHaveLength(3);
    expect(answer.usage.completion_tokens).toBeLessThanOrEqual(maxTokens * 3);
    if (maxTokens < 7) expect(answer.choices[2]?.finish_reason).toBe('length');
  });

  const tools = [
    {
      type: 'function',
      function: {
        name: 'get_weather',
        parameters: { type: 'object', properties: { city: { type: 'string' }, days: { type: 'integer' } }, required: ['city', 'days'] },
      },
    },
  ];
  test.each([
    ['named', { tool_choice: { type: 'function', function: { name: 'get_weather' } } }],
    ['required', { tool_choice: 'required' }],
    ['mentioned', { messages: [{ role: 'user', content: 'call get_weather please' }] }],
  ])('calls a tool that is %s, with arguments that fit its schema', async (_name, extra) => {
    const answer = await readJson(await send(post({ ...CHAT, tools, ...extra })));
    expect(answer.choices[0]?.finish_reason).toBe('tool_calls');
    const call = answer.choices[0]?.message.tool_calls[0];
    expect(call?.function.name).toBe('get_weather');
    expect(call?.function.arguments).toMatch(/^\{"city":".+","days":0\}$/);

    const chunks = events(await readText(await send(post({ ...CHAT, tools, ...extra, stream: true }))));
    const deltas = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    expect(deltas.map((delta) => delta.function.arguments).join('')).toBe(call?.function.arguments);
    expect(deltas[0]?.id).toBe(call?.id);
  });

  test.each([
    ['none', { tool_choice: 'none' }],
    ['left to it', {}],
    [
      'answered',
      { messages: [...CHAT.messages, { role: 'tool', tool_call_id: 'x', content: 'get_weather says sun' }], tool_choice: 'required' },
    ],
  ])('calls no tool where the choice is %s', async (_name, extra) => {
    const answer = await readJson(await send(post({ ...CHAT, tools, ...extra })));
    expect(answer.choices[0]?.message.content).toMatch(/^You said: /);
  });

  test('embeds, as floats and as base64 of the same vector', async () => {
    const embed = (extra: object): UpstreamRequest =>
      post({ model: 'demo-echo', input: ['one', 'two'], ...extra }, { path: '/embeddings' });
    const floats = await readJson(await send(embed({ dimensions: 20 })));
    const encoded = await readJson(await send(embed({ dimensions: 20, encoding_format: 'base64' })));
    expect(floats.data).toHaveLength(2);
    expect(floats.data[0]?.embedding).toHaveLength(20);
    expect(floats.data[0]?.embedding).not.toStrictEqual(floats.data[1]?.embedding);
    const bytes = Buffer.from(String(encoded.data[1]?.embedding), 'base64');
    const decoded = Array.from({ length: 20 }, (_, index) => bytes.readFloatLE(index * 4));
    expect(decoded).toStrictEqual(floats.data[1]?.embedding);
    expect(floats.usage).toStrictEqual({ prompt_tokens: 2, total_tokens: 2 });
  });

  test.each([
    ['/embeddings', { model: 'demo-echo', input: 'x', dimensions: 0 }, 400, 'dimensions'],
    ['/embeddings', { model: 'demo-echo', input: 'x', encoding_format: 'hex' }, 400, 'encoding_format'],
    ['/chat/completions', { model: 'demo-echo' }, 400, 'messages'],
    ['/chat/completions', { ...CHAT, max_tokens: -1 }, 400, 'max_tokens'],
    ['/nowhere', {}, 404, null],
  ])('%s %j is a %i in OpenAI’s form', async (path, body, status, param) => {
    const response = await send(post(body, { path }));
    expect(response.status).toBe(status);
    const { error } = await readJson(response);
    expect(error).toMatchObject({ type: 'invalid_request_error', param });
    expect(error?.message).toMatch(/\.$|^No such path/);
  });

  test('a body that is no JSON is a 400', async () => {
    expect((await send(post(null, { body: '{"model"' }))).status).toBe(400);
  });

  test('reads up to a limit and goes on from there', async () => {
    const request = post({ ...CHAT, stream: true });
    const whole = await readText(await send(request));
    const response = await send(request);
    const start = await response.body.readAll(100);
    expect(start.complete).toBe(false);
    const rest: Uint8Array[] = [];
    for await (const piece of response.body) rest.push(piece);
    expect(Buffer.concat([...start.pieces, ...rest]).toString()).toBe(whole);
  });

  test('a signal that has fired already stops the request', async () => {
    await expect(send(post(CHAT, { signal: AbortSignal.abort() }))).rejects.toMatchObject({ kind: 'aborted', beforeFirstByte: true });
  });

  test('a signal stops a stream half-way', async () => {
    server.behaviour.chunkDelayMs = 20;
    const abort = new AbortController();
    const response = await send(post({ ...CHAT, stream: true }, { signal: abort.signal }));
    const read = async (): Promise<void> => {
      for await (const piece of response.body) if (piece.length > 0) abort.abort();
    };
    await expect(read()).rejects.toMatchObject({ kind: 'aborted', beforeFirstByte: false });
  });

  test('cancelling twice, or after the end, is harmless', async () => {
    const response = await send(post({ ...CHAT, stream: true }));
    response.body.cancel();
    response.body.cancel();
    const other = await send(post(CHAT));
    await readText(other);
    other.body.cancel();
    expect((await send(post(CHAT))).status).toBe(200);
  });
});

afterEach(() => {
  Object.assign(server.behaviour, {
    headerDelayMs: 0,
    chunkDelayMs: 0,
    reportUsage: true,
    fault: null,
    gzip: false,
    text: null,
    rawPieces: null,
    trailers: null,
  });
  server.release();
});

describe('over HTTP', () => {
  test('only headers on the list go up, with our credential; only those on the list come back', async () => {
    const client = httpClient();
    const response = await client.send(
      post(CHAT, {
        headers: {
          'content-type': 'application/json',
          accept: 'application/json',
          authorization: 'Bearer tk_of_the_caller',
          cookie: 'a=b',
          'x-castellan-agent': 'bot',
          'x-tinfoil-client-requested-usage': 'true',
          'x-forwarded-for': '10.0.0.1',
          'user-agent': 'openai',
          'accept-encoding': 'gzip',
          'idempotency-key': 'k',
        },
      }),
    );
    await readText(response);
    const sent = server.received.at(-1)?.headers ?? {};
    expect(Object.keys(sent).toSorted()).toStrictEqual(
      ['accept', 'accept-encoding', 'authorization', 'connection', 'content-length', 'content-type', 'host'].toSorted(),
    );
    expect(sent).toMatchObject({ authorization: 'Bearer sk-upstream', 'accept-encoding': 'identity' });
    expect(response.headers).toStrictEqual({ 'content-type': 'application/json' });
    expect(response.requestId).toBe('req_test');
    await client.close();
  });

  test('without a key no authorization is sent', async () => {
    const client = httpClient(null);
    await readText(await client.send(post(CHAT)));
    expect(server.received.at(-1)?.headers.authorization).toBeUndefined();
    await client.close();
  });

  test('connections are kept', async () => {
    const client = httpClient();
    const before = server.received.length;
    for (let index = 0; index < 5; index++) await readText(await client.send(post(CHAT)));
    expect(server.received.length - before).toBe(5);
    expect(server.connections()).toBeLessThanOrEqual(4);
    await client.close();
  });

  test('a redirect is an answer, and is not followed', async () => {
    server.behaviour.fault = { kind: 'redirect', location: `${server.url}/elsewhere` };
    const client = httpClient();
    const before = server.received.length;
    const response = await client.send(post(CHAT));
    expect(response.status).toBe(302);
    expect(response.headers['location']).toBeUndefined();
    await readText(response);
    expect(server.received.length - before).toBe(1);
    await client.close();
  });

  test('a compressed answer is decoded, whole and as a stream', async () => {
    server.behaviour.gzip = true;
    const client = httpClient();
    const response = await client.send(post(CHAT));
    expect(response.headers['content-encoding']).toBeUndefined();
    expect((await readJson(response)).choices[0]?.message.content).toContain('castle');
    const stream = await client.send(post({ ...CHAT, stream: true }));
    expect((await readPieces(stream)).join('').endsWith('data: [DONE]\n\n')).toBe(true);
    await client.close();
  });

  test('trailers are there after the end', async () => {
    server.behaviour.trailers = { 'X-Tinfoil-Usage-Metrics': 'prompt=1,completion=2,total=3' };
    const client = httpClient();
    const response = await client.send(post({ ...CHAT, stream: true }));
    expect(response.body.trailers).toStrictEqual({});
    await readPieces(response);
    expect(response.body.trailers).toStrictEqual({ 'x-tinfoil-usage-metrics': 'prompt=1,completion=2,total=3' });
    await client.close();
  });

  test.each([401, 403, 429, 500, 503])('status %i is an answer, with its Retry-After', async (status) => {
    server.behaviour.fault = { kind: 'status', status, headers: { 'retry-after': '7', 'x-ratelimit-limit': '5' } };
    const client = httpClient();
    const response = await client.send(post(CHAT));
    expect(response.status).toBe(status);
    expect(response.headers['retry-after']).toBe('7');
    expect(response.headers['x-ratelimit-limit']).toBeUndefined();
    await readText(response);
    await client.close();
  });

  test.each([
    ['reset_before_headers', { kind: 'reset_before_headers' }, { kind: 'reset', beforeFirstByte: true, code: 'upstream_failed' }],
    ['garbage', { kind: 'garbage' }, { kind: 'protocol', beforeFirstByte: true, code: 'upstream_failed' }],
  ] as const)('%s fails the request', async (_name, fault, expected) => {
    server.behaviour.fault = fault;
    const client = httpClient();
    await expect(client.send(post(CHAT))).rejects.toMatchObject(expected);
    await client.close();
  });

  test('a server that is not there is a connect failure whose public text names nobody', async () => {
    const client = makeOpenAiClient({
      name: 'peer',
      baseUrl: 'http://127.0.0.1:1/v1',
      apiKey: null,
      connections: null,
      connectTimeoutMs: 1_000,
    });
    const fault = await client.send(post(CHAT)).catch((error: unknown) => error);
    expect(fault).toMatchObject({ kind: 'connect', beforeFirstByte: true, code: 'upstream_failed' });
    expect(String((fault as Error).message)).toContain('peer');
    expect((fault as { publicMessage: string }).publicMessage).not.toMatch(/peer|127|ECONN/);
    await client.close();
  });

  test('no answer in time', async () => {
    server.behaviour.gated = true;
    const client = httpClient();
    const late = client.send(post(CHAT, { timeouts: { headersMs: 100, idleMs: 10_000 } }));
    await expect(late).rejects.toMatchObject({ kind: 'headers_timeout', beforeFirstByte: true, code: 'upstream_timeout' });
    await client.close();
  });

  test('a stream that stalls', async () => {
    server.behaviour.fault = { kind: 'stall', afterPieces: 2 };
    const client = httpClient();
    const response = await client.send(post({ ...CHAT, stream: true }, { timeouts: { headersMs: 5_000, idleMs: 100 } }));
    await expect(readPieces(response)).rejects.toMatchObject({ kind: 'idle_timeout', beforeFirstByte: false, code: 'upstream_timeout' });
    await client.close();
  });

  test('a stream that breaks gives what came first, then fails', async () => {
    server.behaviour.fault = { kind: 'reset_mid_body', afterPieces: 3 };
    const client = httpClient();
    const response = await client.send(post({ ...CHAT, stream: true }));
    const seen: string[] = [];
    const read = async (): Promise<void> => {
      for await (const piece of response.body) seen.push(Buffer.from(piece).toString());
    };
    await expect(read()).rejects.toMatchObject({ kind: 'reset', beforeFirstByte: false });
    expect(events(seen.join(''))).toHaveLength(3);
    await client.close();
  });

  test('a whole body that breaks fails', async () => {
    server.behaviour.fault = { kind: 'reset_mid_body', afterPieces: 1 };
    const client = httpClient();
    const response = await client.send(post(CHAT));
    await expect(response.body.readAll(1_000_000)).rejects.toMatchObject({ kind: 'reset', beforeFirstByte: false });
    await client.close();
  });

  test('giving up while the answer is awaited closes the connection', async () => {
    server.behaviour.gated = true;
    const client = httpClient();
    const abort = new AbortController();
    const before = server.received.length;
    const pending = client.send(post(CHAT, { signal: abort.signal }));
    await expect.poll(() => server.received.length).toBe(before + 1);
    abort.abort();
    await expect(pending).rejects.toMatchObject({ kind: 'aborted', beforeFirstByte: true });
    await expect.poll(() => server.received.at(-1)?.aborted).toBe(true);
    await client.close();
  });

  test('leaving a stream early closes the connection', async () => {
    server.behaviour.chunkDelayMs = 5;
    server.behaviour.text = 'word '.repeat(500);
    const client = httpClient();
    const response = await client.send(post({ ...CHAT, max_tokens: 2_000, stream: true }));
    for await (const piece of response.body) if (piece.length > 0) break;
    await expect.poll(() => server.received.at(-1)?.aborted).toBe(true);
    await client.close();
  });

  test('a slow reader holds the upstream back', async () => {
    server.behaviour.rawPieces = { contentType: 'text/event-stream', pieces: Array.from({ length: 400 }, () => 'x'.repeat(65_536)) };
    const client = httpClient();
    const response = await client.send(post(CHAT));
    const reading = response.body[Symbol.asyncIterator]();
    await reading.next();
    // Nobody reads on: the server must still be busy, because 26 MB fit into no buffer on the way.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(server.inFlight()).toBe(1);
    let bytes = 0;
    for (let next = await reading.next(); next.done !== true; next = await reading.next()) bytes += next.value.length;
    expect(bytes).toBeGreaterThan(26_000_000 - 100_000);
    await client.close();
  });

  test('1,000 requests at once are all answered', async () => {
    server.behaviour.gated = true;
    const client = httpClient();
    const pending = Array.from({ length: 1_000 }, async () => readJson(await client.send(post(CHAT))));
    await expect.poll(() => server.waiting(), { timeout: 20_000 }).toBe(1_000);
    server.release();
    const answers = await Promise.all(pending);
    expect(new Set(answers.map((answer) => answer.id)).size).toBe(1);
    await client.close();
  });
});

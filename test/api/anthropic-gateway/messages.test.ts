import { afterEach, describe, expect, test } from 'vitest';
import {
  CAP,
  eventually,
  KEY,
  KEY_MONEY,
  keyOf,
  priceOf,
  readUntil,
  startGateway,
  TENANT_MONEY,
  type Gateway,
  type GatewayOptions,
} from '../../support/gateway-harness.ts';
import { letSpeak, messagesAnswer, messagesEvent, messagesStream } from '../../support/messages-upstream.ts';
import { startOpenAiServer, type OpenAiBehaviour, type OpenAiServer } from '../../support/openai-server.ts';
import { rawRequest, sendRaw } from '../../support/raw-http.ts';

const CALL = { model: 'm1', max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] };
const STREAM = { ...CALL, stream: true };

/** Cache writes cost five times what input does: 750 nano-dollars a token, where input costs 150, cached input 75 and output 600. */
const DEAR_WRITES = priceOf({ cacheWriteInputNanos: 750 });

let gateway: Gateway;
let upstream: OpenAiServer;

async function start(behaviour: Partial<OpenAiBehaviour> = {}, options: GatewayOptions = {}): Promise<void> {
  upstream = await startOpenAiServer(behaviour);
  gateway = await startGateway({ upstreamUrls: [upstream.url], ...options });
  letSpeak(gateway, 'u1', ['openai', 'anthropic']);
}

afterEach(async () => {
  // A test that failed may have left calls waiting.
  upstream.release();
  await gateway.close();
  await upstream.close();
});

const raw = (contentType: string, pieces: readonly string[]): Partial<OpenAiBehaviour> => ({ rawPieces: { contentType, pieces } });
const whole = (body: string): Partial<OpenAiBehaviour> => raw('application/json', [body]);
const streamed = (pieces: readonly string[]): Partial<OpenAiBehaviour> => raw('text/event-stream', pieces);

/** Sends a request to the surface with exactly these headers and a JSON type. */
const send = (body: unknown, headers: Readonly<Record<string, string>> = { 'x-api-key': KEY }, path = '/messages'): Promise<Response> =>
  fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

interface ErrorBody {
  readonly type: string;
  readonly error: { readonly type: string; readonly message: string; readonly code?: string; readonly account?: Record<string, unknown> };
  readonly request_id: string;
}

async function refused(answer: Response): Promise<ErrorBody & { readonly status: number }> {
  const body = (await answer.json()) as ErrorBody;
  expect(body.type).toBe('error');
  expect(body.request_id).toBe(answer.headers.get('request-id'));
  expect(body.request_id).toMatch(/^req-/);
  return { ...body, status: answer.status };
}

/** Nothing was sent, held or booked. */
function expectNothingDone(): void {
  expect(upstream.received).toHaveLength(0);
  expect(gateway.ledger.usage).toHaveLength(0);
  expect(gateway.ledger.reservations.size).toBe(0);
}

describe('200', () => {
  test('the answer passes byte for byte; input, cache reads, cache writes and output are priced each by its own price', async () => {
    const usage = { input_tokens: 10, cache_creation_input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 7 };
    const body = `${messagesAnswer(usage)}\n`;
    await start(whole(body));
    gateway.prices.splice(0, 1, DEAR_WRITES);
    gateway.allocate(KEY_MONEY, 1_000_000n);
    const answer = await send(CALL);
    expect(await answer.text()).toBe(body);
    expect(answer.headers.get('request-id')).toBe(answer.headers.get('x-request-id'));
    const cost = 10n * 150n + 6n * 750n + 4n * 75n + 7n * 600n;
    expect(gateway.ledger.usage).toMatchObject([
      {
        route: '/messages',
        promptTokens: 20,
        cachedPromptTokens: 4,
        cacheWritePromptTokens: 6,
        completionTokens: 7,
        costNanoUsd: cost,
        chargeMicrocents: cost / 10n,
        estimated: false,
        streaming: false,
      },
    ]);
    expect(gateway.account(CAP)).toMatchObject({ spent: 27n, reserved: 0n });
    expect(gateway.account(KEY_MONEY)).toMatchObject({ spent: cost / 10n, reserved: 0n });
  });

  test('without a price of their own, cache writes cost what input costs', async () => {
    await start(whole(messagesAnswer({ input_tokens: 1, cache_creation_input_tokens: 9, cache_read_input_tokens: 0, output_tokens: 1 })));
    await send(CALL);
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 10, cacheWritePromptTokens: 9, costNanoUsd: 10n * 150n + 600n });
  });

  test('a stream passes byte for byte; the start counts the prompt, the end counts the output, cumulative', async () => {
    const pieces = messagesStream({
      start: { input_tokens: 10, cache_creation_input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 1 },
      text: ['a', 'b'],
      end: { output_tokens: 7 },
    });
    await start(streamed(pieces));
    gateway.prices.splice(0, 1, DEAR_WRITES);
    const answer = await send(STREAM);
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(await answer.text()).toBe(pieces.join(''));
    expect(gateway.ledger.usage).toMatchObject([
      { promptTokens: 20, cachedPromptTokens: 4, cacheWritePromptTokens: 6, completionTokens: 7, estimated: false, streaming: true },
    ]);
    expect(gateway.ledger.usage[0]?.costNanoUsd).toBe(10n * 150n + 6n * 750n + 4n * 75n + 7n * 600n);
  });

  test('the end of a stream waits until the call is booked', async () => {
    await start({ chunkDelayMs: 2, text: 'one two' }, { flushMs: 100 });
    const answer = await send(STREAM);
    const booked: number[] = [];
    let text = '';
    for await (const chunk of answer.body ?? []) {
      text += Buffer.from(chunk as Uint8Array).toString();
      if (text.includes('message_delta')) booked.push(gateway.ledger.usage.length);
    }
    expect(booked[0]).toBe(0);
    expect(booked.at(-1)).toBe(1);
    expect(text).toMatch(/"type":"message_stop"\}\n\n$/);
  });

  test('the upstream gets its own key as x-api-key, the version and betas of the caller, its own name of the model, and no credential of the caller', async () => {
    await start({}, { apiKey: 'sk-ant-own' });
    const headers = {
      'x-api-key': KEY,
      'anthropic-version': '2024-01-01',
      'anthropic-beta': 'a-1,b-2',
      cookie: 'c=1',
      'x-stainless-os': 'Linux',
    };
    await (await send({ ...CALL, priority: 1, metadata: { user_id: 'u' } }, headers)).text();
    const [received] = upstream.received;
    expect(received?.path).toBe('/messages');
    expect(received?.headers).toMatchObject({ 'x-api-key': 'sk-ant-own', 'anthropic-version': '2024-01-01', 'anthropic-beta': 'a-1,b-2' });
    expect(received?.headers).not.toHaveProperty('authorization');
    expect(received?.headers).not.toHaveProperty('cookie');
    expect(received?.headers).not.toHaveProperty('x-stainless-os');
    expect(JSON.stringify(received)).not.toContain(KEY);
    expect(JSON.parse(received?.bodyText ?? '')).toEqual({ ...CALL, model: 'up-m1', metadata: { user_id: 'u' } });
  });

  test('a caller that names no version does not have to', async () => {
    await start();
    await (await send(STREAM)).text();
    expect(upstream.received[0]?.headers['anthropic-version']).toBe('2023-06-01');
    expect(JSON.parse(upstream.received[0]?.bodyText ?? '')).not.toHaveProperty('stream_options');
  });

  test('calls in the form of OpenAI still go with a bearer token, to the same upstream', async () => {
    await start({}, { apiKey: 'sk-own' });
    await (await gateway.post('/chat/completions', CALL)).text();
    expect(upstream.received[0]?.headers).toMatchObject({ authorization: 'Bearer sk-own' });
    expect(upstream.received[0]?.headers).not.toHaveProperty('x-api-key');
    expect(upstream.received[0]?.headers).not.toHaveProperty('anthropic-version');
  });

  test('the key as a bearer token serves as well, also one of the management kind', async () => {
    await start();
    gateway.keys.set('mk_1', keyOf('k1', 'management'));
    for (const key of [KEY, 'mk_1']) expect((await send(CALL, { authorization: `Bearer ${key}` })).status).toBe(200);
    expect(gateway.ledger.usage).toHaveLength(2);
  });

  test('usage in a header where it was asked for', async () => {
    await start(whole(messagesAnswer({ input_tokens: 10, cache_creation_input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 7 })));
    const answer = await send(CALL, { 'x-api-key': KEY, 'x-tinfoil-request-usage-metrics': 'true' });
    expect(answer.headers.get('x-tinfoil-usage-metrics')).toBe(
      'prompt=20,completion=7,total=27,cached_prompt_tokens=4,uncached_prompt_tokens=16,model=m1,cost_usd=0.0000069',
    );
  });

  test('only the upstreams that speak the API are asked, whatever the order', async () => {
    const other = await startOpenAiServer();
    await start({}, {});
    await gateway.close();
    gateway = await startGateway({ upstreamUrls: [other.url, upstream.url] });
    letSpeak(gateway, 'u2', ['anthropic']);
    expect((await send(CALL)).status).toBe(200);
    expect((await gateway.post('/chat/completions', CALL)).status).toBe(200);
    expect([other.received.map(({ path }) => path), upstream.received.map(({ path }) => path)]).toEqual([
      ['/chat/completions'],
      ['/messages'],
    ]);
    expect(gateway.ledger.usage.map(({ upstreamId }) => upstreamId)).toEqual(['u2', 'u1']);
    await other.close();
  });

  test('an output limit of 0, which only fills a cache, holds and books the prompt', async () => {
    await start(
      whole(messagesAnswer({ input_tokens: 0, cache_creation_input_tokens: 9, cache_read_input_tokens: 0, output_tokens: 0 }, '')),
    );
    expect((await send({ ...CALL, max_tokens: 0 })).status).toBe(200);
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 9, cacheWritePromptTokens: 9, completionTokens: 0, estimated: false });
  });
});

describe('what is not reported', () => {
  test('an answer without usage is counted by us, and flagged', async () => {
    await start(whole(messagesAnswer(null, 'one two three')));
    await (await send(CALL)).text();
    expect(gateway.ledger.usage[0]).toMatchObject({ completionTokens: 3, estimated: true });
    expect(gateway.ledger.usage[0]?.promptTokens).toBeGreaterThan(0);
  });

  test('a stream that an error event ends is booked with what was written, and flagged: its start could not count it', async () => {
    const error = messagesEvent('error', { error: { type: 'overloaded_error', message: 'Overloaded' } });
    const start_ = { input_tokens: 10, cache_creation_input_tokens: 6, cache_read_input_tokens: 4, output_tokens: 1 };
    const pieces = [...messagesStream({ start: start_, text: ['one two three four'], end: null }).slice(0, 4), error];
    await start(streamed(pieces));
    expect(await (await send(STREAM)).text()).toBe(pieces.join(''));
    expect(gateway.ledger.usage[0]).toMatchObject({
      promptTokens: 20,
      cachedPromptTokens: 4,
      cacheWritePromptTokens: 6,
      completionTokens: 4,
      estimated: true,
    });
  });

  test('a stream that breaks off is booked likewise, and cut', async () => {
    const pieces = messagesStream({
      start: { input_tokens: 10, output_tokens: 1 },
      text: ['one two', ' three'],
      end: { output_tokens: 3 },
    });
    await start({ ...streamed(pieces), fault: { kind: 'reset_mid_body', afterPieces: 4 } });
    await expect((await send(STREAM)).text()).rejects.toThrow(/terminated|aborted/);
    await eventually(() => gateway.ledger.usage).toHaveLength(1);
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 10, completionTokens: 2, estimated: true });
  });

  test('a caller that leaves pays for the whole answer', async () => {
    const pieces = messagesStream({ start: { input_tokens: 10, output_tokens: 1 }, text: ['one', ' two'], end: { output_tokens: 7 } });
    await start({ ...streamed(pieces), chunkDelayMs: 30 });
    const answer = await send(STREAM);
    const reader = answer.body?.getReader();
    await readUntil(reader, 'message_start');
    await reader?.cancel();
    await eventually(() => gateway.ledger.usage).toHaveLength(1);
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 10, completionTokens: 7, estimated: false });
    await eventually(() => gateway.account(CAP).reserved).toBe(0n);
  });
});

describe('400', () => {
  test.each([
    ['no JSON', '{', 'The body is not valid JSON.'],
    ['no object', '[]', 'The body must be a JSON object.'],
    ['no model', { ...CALL, model: undefined }, 'You must provide a model.'],
    ['no limit', { ...CALL, max_tokens: undefined }, 'max_tokens is required.'],
    ['a limit that is none', { ...CALL, max_tokens: -1 }, 'max_tokens must be a whole number from 0 to 2147483647.'],
    ['a limit above the model', { ...CALL, max_tokens: 4096 }, 'max_tokens is too large: 4096. This model produces at most 2048 tokens.'],
    ['no messages', { ...CALL, messages: [] }, 'messages must not be empty.'],
    [
      'a block without a type',
      { ...CALL, messages: [{ role: 'user', content: [{}] }] },
      'messages[0].content[0] must be an object with a type.',
    ],
    ['another model behind our back', { ...CALL, fallbacks: [{ model: 'dear' }] }, /^fallbacks is not supported/],
    ['a key that is none', '{"model":"m1","__proto__":{}}', 'The key __proto__ is not allowed in a body.'],
  ])('%s', async (_name, body, message) => {
    await start();
    const { status, error } = await refused(await send(body));
    expect([status, error.type]).toEqual([400, 'invalid_request_error']);
    if (typeof message === 'string') expect(error.message).toBe(message);
    else expect(error.message).toMatch(message);
    expectNothingDone();
  });

  test('a model that is served in the other form only, either way', async () => {
    await start();
    letSpeak(gateway, 'u1', ['openai']);
    const { status, error } = await refused(await send(CALL));
    expect([status, error.type]).toEqual([400, 'invalid_request_error']);
    expect(error.message).toBe(`The model "m1" is served in OpenAI's API only, such as /v1/chat/completions.`);
    letSpeak(gateway, 'u1', ['anthropic']);
    const other = await gateway.post('/chat/completions', CALL);
    expect(other.status).toBe(400);
    expect(await other.json()).toMatchObject({
      error: { param: 'model', message: `The model "m1" is served in Anthropic's API only, at /v1/messages.` },
    });
    expectNothingDone();
  });

  test('two credentials, be they the same: nobody knows which one is meant', async () => {
    await start();
    const { status, error } = await refused(await send(CALL, { 'x-api-key': KEY, authorization: `Bearer ${KEY}` }));
    expect([status, error.type, error.code]).toEqual([400, 'invalid_request_error', 'doubled_header']);
    expectNothingDone();
  });

  test('one header that comes twice', async () => {
    await start();
    const headers = [`x-api-key: ${KEY}`, `x-api-key: ${KEY}`, 'content-type: application/json'];
    const answer = await sendRaw(gateway.url, [rawRequest({ method: 'POST', path: '/v1/messages', headers, body: JSON.stringify(CALL) })]);
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ type: 'error', error: { type: 'invalid_request_error', code: 'doubled_header' } });
    expectNothingDone();
  });
});

describe('401 and 403', () => {
  test.each([
    ['none', {}],
    ['an unknown one', { 'x-api-key': 'tk_0' }],
    ['an unknown bearer', { authorization: 'Bearer tk_0' }],
    ['no bearer', { authorization: `Basic ${KEY}` }],
    ['an empty one', { 'x-api-key': '' }],
  ])('credential: %s', async (_name, headers) => {
    await start();
    const { status, error } = await refused(await send(CALL, headers));
    expect([status, error.type]).toEqual([401, 'authentication_error']);
    expectNothingDone();
  });

  test('another kind of key, and a suspended tenant', async () => {
    await start();
    gateway.keys.set('admin_1', keyOf('k2', 'admin'));
    const kind = await refused(await send(CALL, { 'x-api-key': 'admin_1' }));
    expect([kind.status, kind.error.type]).toEqual([403, 'permission_error']);
    gateway.setTenant({ status: 'SUSPENDED' });
    const tenant = await refused(await send(CALL));
    expect([tenant.status, tenant.error.type, tenant.error.code]).toEqual([403, 'permission_error', 'tenant_suspended']);
    expectNothingDone();
  });
});

describe('402 and 429', () => {
  test('a cap that is used up, with its figures, and not to be retried', async () => {
    await start();
    gateway.allocate(CAP, 100n, { spent: 40n });
    const answer = await send(CALL);
    const { status, error } = await refused(answer);
    expect([status, error.type, error.code]).toEqual([402, 'billing_error', 'cap_exceeded']);
    expect(error.account).toMatchObject({ kind: 'key_cap', unit: 'TOKENS', limit: 100, spent: 40, remaining: 60, resets_at: null });
    expect(answer.headers.get('x-should-retry')).toBe('false');
    expectNothingDone();
  });

  test('a tenant that hides amounts', async () => {
    await start();
    gateway.setTenant({ hideAmounts: true });
    gateway.allocate(CAP, 77n);
    const { error } = await refused(await send(CALL));
    expect(JSON.stringify(error)).not.toContain('77');
    expect(error.account).toMatchObject({ kind: 'key_cap' });
    expect(error.account).not.toHaveProperty('limit');
  });

  test('the hold is priced as if the whole prompt were written into the cache', async () => {
    await start();
    gateway.prices.splice(0, 1, DEAR_WRITES);
    gateway.allocate(TENANT_MONEY, 1n);
    await refused(await send(CALL));
    const hold = gateway.commands.find(({ verb }) => verb === 'reserve') as { legs?: readonly { base: bigint }[] } | undefined;
    const [tokens, money] = hold?.legs ?? [];
    expect(money?.base).toBe((tokens?.base ?? 0n) * 750n);
  });

  test('only calls in flight in the way: again in a second', async () => {
    await start({ gated: true });
    gateway.allocate(CAP, 200n);
    const first = send(CALL);
    await eventually(() => upstream.waiting()).toBe(1);
    const answer = await send(CALL);
    const { status, error } = await refused(answer);
    expect([status, error.type, error.code]).toEqual([429, 'rate_limit_error', 'held']);
    expect([answer.headers.get('retry-after'), answer.headers.get('x-should-retry')]).toEqual(['1', 'true']);
    upstream.release();
    expect((await first).status).toBe(200);
  });
});

describe('404, 405, 413 and 415', () => {
  test('an unknown model', async () => {
    await start();
    const { status, error } = await refused(await send({ ...CALL, model: 'none' }));
    expect([status, error.type, error.code]).toEqual([404, 'not_found_error', 'model_not_found']);
  });

  test.each(['/messages/batches', '/messages/batches/b_1/results', '/messages/x'])('%s is not there', async (path) => {
    await start();
    const { status, error } = await refused(await send(CALL, { 'x-api-key': KEY }, path));
    expect([status, error.type]).toEqual([404, 'not_found_error']);
  });

  test.each(['/messages', '/messages/count_tokens'])('GET %s', async (path) => {
    await start();
    const answer = await fetch(`${gateway.url}${path}`, { headers: { 'x-api-key': KEY } });
    const { status, error } = await refused(answer);
    expect([status, error.type, answer.headers.get('allow')]).toEqual([405, 'invalid_request_error', 'POST']);
  });

  test('a body that is too large, or no JSON by its type', async () => {
    await start({}, { maxBodyBytes: 1000 });
    const large = await refused(await send({ ...CALL, system: 'x'.repeat(1000) }));
    expect([large.status, large.error.type]).toEqual([413, 'request_too_large']);
    const text = await refused(await send('x', { 'x-api-key': KEY, 'content-type': 'text/plain' }));
    expect([text.status, text.error.type]).toEqual([415, 'invalid_request_error']);
    expectNothingDone();
  });
});

describe('errors of the upstream', () => {
  test.each([
    [400, 400, 'invalid_request_error'],
    [404, 404, 'not_found_error'],
    [413, 413, 'request_too_large'],
    [401, 502, 'api_error'],
    [403, 502, 'api_error'],
    [429, 429, 'rate_limit_error'],
    [500, 502, 'api_error'],
    [504, 504, 'timeout_error'],
    [529, 502, 'api_error'],
  ])('%i becomes %i', async (from, status, type) => {
    await start({ fault: { kind: 'status', status: from } });
    const answer = await refused(await send(CALL));
    expect([answer.status, answer.error.type]).toEqual([status, type]);
    expect(gateway.ledger.usage).toHaveLength(0);
    expect(gateway.account(CAP)).toMatchObject({ spent: 0n, reserved: 0n });
  });

  test("the upstream's words pass with our name of the model, and without what is its own", async () => {
    const message = 'max_tokens: too many for up-m1 at https://api.anthropic.example/v1 with sk-ant-own-1';
    await start({}, { apiKey: 'sk-ant-own-1' });
    const body = JSON.stringify({ type: 'error', error: { type: 'invalid_request_error', message }, request_id: 'req_theirs' });
    upstream.behaviour.rawPieces = { contentType: 'application/json', pieces: [body], status: 400 };
    const { status, error, request_id } = await refused(await send(CALL));
    expect(status).toBe(400);
    expect(error).toEqual({ type: 'invalid_request_error', message: 'max_tokens: too many for m1 at [removed] with [removed]' });
    expect(request_id).not.toBe('req_theirs');
  });

  test('another upstream is tried before anybody hears of it', async () => {
    const broken = await startOpenAiServer({ fault: { kind: 'reset_before_headers' } });
    await start();
    await gateway.close();
    gateway = await startGateway({ upstreamUrls: [broken.url, upstream.url] });
    for (const id of ['u1', 'u2']) letSpeak(gateway, id, ['anthropic']);
    expect((await send(CALL)).status).toBe(200);
    expect(gateway.ledger.usage[0]).toMatchObject({ upstreamId: 'u2', estimated: false });
    await broken.close();
  });
});

describe('count_tokens', () => {
  const { max_tokens: _limit, ...COUNT } = CALL;
  const count = (body: unknown = COUNT): Promise<Response> => send(body, { 'x-api-key': KEY }, '/messages/count_tokens');

  test('200: the upstream counts, and nothing is held, metered or billed', async () => {
    await start({}, { apiKey: 'sk-ant-own' });
    const answer = await count();
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({ input_tokens: 9 });
    expect(answer.headers.get('request-id')).toMatch(/^req-/);
    expect(upstream.received[0]).toMatchObject({ path: '/messages/count_tokens', headers: { 'x-api-key': 'sk-ant-own' } });
    expect(JSON.parse(upstream.received[0]?.bodyText ?? '')).toEqual({ ...COUNT, model: 'up-m1' });
    expect([gateway.ledger.usage.length, gateway.ledger.reservations.size, gateway.flushes()]).toEqual([0, 0, 0]);
  });

  test('200: a key whose cap is used up may still count', async () => {
    await start();
    gateway.allocate(CAP, 1n, { spent: 1n });
    expect((await count()).status).toBe(200);
  });

  test('400, 401, 404 and 502 as for messages', async () => {
    await start();
    const bad = await refused(await count({ ...COUNT, messages: 'x' }));
    expect([bad.status, bad.error.message]).toEqual([400, 'messages must be an array.']);
    expect((await refused(await send(COUNT, {}, '/messages/count_tokens'))).status).toBe(401);
    expect((await refused(await count({ ...COUNT, model: 'none' }))).status).toBe(404);
    upstream.behaviour.fault = { kind: 'status', status: 500 };
    expect((await refused(await count())).status).toBe(502);
    upstream.behaviour.fault = { kind: 'status', status: 404 };
    expect((await refused(await count())).error.type).toBe('not_found_error');
  });

  test('502: an answer that is no count', async () => {
    await start(streamed(['data: x\n\n', 'data: y\n\n']));
    expect((await refused(await count())).status).toBe(502);
    await eventually(() => upstream.inFlight()).toBe(0);
  });

  test('a caller that leaves ends it upstream', async () => {
    await start({ gated: true });
    const abort = new AbortController();
    const asking = fetch(`${gateway.url}/messages/count_tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-api-key': KEY },
      body: JSON.stringify(COUNT),
      signal: abort.signal,
    });
    await eventually(() => upstream.waiting()).toBe(1);
    abort.abort();
    await expect(asking).rejects.toThrow(/abort/);
    await eventually(() => upstream.received[0]?.aborted).toBe(true);
  });
});

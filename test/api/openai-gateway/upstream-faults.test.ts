import { afterEach, describe, expect, test } from 'vitest';
import { eventually, CAP, priceOf, startGateway, type Gateway, type GatewayOptions } from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiBehaviour, type OpenAiServer } from '../../support/openai-server.ts';

const CALL = { model: 'm1', max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] };
/** A port on which nothing listens: 1 is reserved and needs a privilege. */
const NOBODY = 'http://127.0.0.1:1/v1';

let gateway: Gateway;
let servers: OpenAiServer[] = [];

/** Starts an upstream for each behaviour (a string is an address), in the order of trial, and a gateway before them. */
async function start(behaviours: readonly (Partial<OpenAiBehaviour> | string)[], options: GatewayOptions = {}): Promise<void> {
  const upstreamUrls: string[] = [];
  for (const behaviour of behaviours) {
    if (typeof behaviour === 'string') upstreamUrls.push(behaviour);
    else {
      const server = await startOpenAiServer(behaviour);
      servers.push(server);
      upstreamUrls.push(server.url);
    }
  }
  gateway = await startGateway({ upstreamUrls, ...options });
}

afterEach(async () => {
  await gateway.close();
  for (const server of servers) await server.close();
  servers = [];
});

const status = (code: number, headers: Record<string, string> = {}): Partial<OpenAiBehaviour> => ({
  fault: { kind: 'status', status: code, headers },
});

interface Failed {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly error: { readonly message: string; readonly type: string; readonly param: string | null; readonly code: string | null };
}

async function failed(stream = false): Promise<Failed> {
  const answer = await gateway.post('/chat/completions', { ...CALL, stream });
  const text = await answer.text();
  return { status: answer.status, headers: answer.headers, text, error: (JSON.parse(text) as { error: Failed['error'] }).error };
}

/** The hold was returned, and nothing was charged or recorded. */
function expectReleased(): void {
  expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 0n });
  expect(gateway.ledger.usage).toHaveLength(0);
  expect([...gateway.ledger.reservations.values()].map(({ state }) => state)).toEqual(['RELEASED']);
}

describe('the next upstream is tried after', () => {
  test.each<[string, Partial<OpenAiBehaviour> | string]>([
    ['no connection', NOBODY],
    ['a connection that breaks before the answer', { fault: { kind: 'reset_before_headers' } }],
    ['a connection that breaks between head and body', { fault: { kind: 'reset_mid_body', afterPieces: 0 } }],
    ['something that is no HTTP', { fault: { kind: 'garbage' } }],
    ['500', status(500)],
    ['503', status(503)],
    ['429', status(429, { 'retry-after': '0' })],
    ['401, which is about our own credential', status(401)],
    ['403, which is about our own credential', status(403)],
    ['a good status with an empty body', { rawPieces: { contentType: 'text/event-stream', pieces: [] } }],
    ['a redirect', { fault: { kind: 'redirect', location: 'http://127.0.0.1:1/' } }],
    ['an address that is none', 'http://127.0.0.1:99999/v1'],
  ])('%s', async (_name, behaviour) => {
    await start([behaviour, {}]);
    gateway.prices.push(priceOf({ id: 'p2', upstreamId: 'u2', inputNanos: 1000 }));
    for (const stream of [false, true]) {
      const answer = await gateway.post('/chat/completions', { ...CALL, stream });
      expect(answer.status).toBe(200);
      await answer.text();
    }
    expect(gateway.ledger.usage).toHaveLength(2);
    for (const event of gateway.ledger.usage)
      expect(event).toMatchObject({ upstreamId: 'u2', priceId: 'p2', costNanoUsd: 9n * 1000n + 5n * 600n, estimated: false });
    expect(gateway.calls.counters.retriedUpstreams).toBeGreaterThan(0);
  });

  test.each<[string, Partial<OpenAiBehaviour>]>([
    ['no answer in time', { gated: true }],
    ['a head in time and no body', { fault: { kind: 'stall', afterPieces: 0 } }],
  ])('%s', async (_name, behaviour) => {
    await start([behaviour, {}]);
    const [slow] = gateway.upstreams.values();
    if (slow !== undefined) gateway.upstreams.set('u1', { ...slow, timeoutMs: 200 });
    for (const stream of [false, true]) {
      const answer = await gateway.post('/chat/completions', { ...CALL, stream });
      expect(answer.status).toBe(200);
      await answer.text();
    }
    expect(gateway.ledger.usage.map(({ upstreamId }) => upstreamId)).toEqual(['u2', 'u2']);
  });

  test('the dearest upstream prices the hold', async () => {
    await start([NOBODY, { gated: true }]);
    gateway.prices.push(priceOf({ id: 'p2', upstreamId: 'u2', inputNanos: 10, outputNanos: 2000, requestNanos: 5000 }));
    const answering = gateway.post('/chat/completions', CALL);
    await eventually(() => servers[0]?.waiting()).toBe(1);
    const reserve = gateway.commands.find((command) => command.verb === 'reserve');
    expect(reserve?.legs[1]).toMatchObject({ base: 5000n + 28n * 150n, perUnit: 2000n, divisor: 10n });
    servers[0]?.release();
    await (await answering).text();
  });
});

describe('without another upstream', () => {
  test.each<[string, Partial<OpenAiBehaviour> | string, number, string]>([
    ['no connection is 502', NOBODY, 502, 'upstream_failed'],
    ['a broken connection is 502', { fault: { kind: 'reset_before_headers' } }, 502, 'upstream_failed'],
    ['500 is 502', status(500), 502, 'upstream_failed'],
    ['401 is 502', status(401), 502, 'upstream_failed'],
    ['403 is 502', status(403), 502, 'upstream_failed'],
    ['429 is 429', status(429), 429, 'upstream_rate_limited'],
    ['504 is 504', status(504), 504, 'upstream_timeout'],
    ['a redirect is 502', { fault: { kind: 'redirect', location: 'http://127.0.0.1:1/' } }, 502, 'upstream_failed'],
  ])('%s', async (_name, behaviour, expected, code) => {
    await start([behaviour]);
    const answer = await failed();
    expect({ status: answer.status, code: answer.error.code }).toEqual({ status: expected, code });
    expect(answer.text).not.toMatch(/127\.0\.0\.1|told to answer|u1/);
    expect(answer.headers.get('x-should-retry')).toBeNull();
    expectReleased();
    expect(gateway.calls.counters.failed).toBe(1);
  });

  test('the wait that a 429 asks for is passed on', async () => {
    await start([status(429, { 'retry-after': '17' }), status(500)]);
    const answer = await failed();
    expect({ status: answer.status, wait: answer.headers.get('retry-after') }).toEqual({ status: 429, wait: '17' });
  });

  test('an upstream that does not answer in time is 504', async () => {
    await start([{ gated: true }], { limits: { upstreamTimeoutMs: 200 } });
    const answer = await failed();
    expect({ status: answer.status, code: answer.error.code }).toEqual({ status: 504, code: 'upstream_timeout' });
    expectReleased();
  });

  test('a model whose upstreams are gone is 502', async () => {
    await start([{}]);
    gateway.upstreams.clear();
    expect((await failed()).status).toBe(502);
    expect(gateway.commands).toHaveLength(0);
  });
});

describe('an answer that breaks off', () => {
  test('before it was whole is 502, billed by an estimate, and not asked for again', async () => {
    await start([{ ...rawJson(['{"choices":[', '{"message":']), fault: { kind: 'reset_mid_body', afterPieces: 1 } }, {}]);
    const answer = await failed();
    expect(answer.status).toBe(502);
    expect(servers[1]?.received).toHaveLength(0);
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 8, completionTokens: 0, estimated: true });
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 8n });
  });

  test('after a large part of it had passed is cut', async () => {
    const piece = 'x'.repeat(700_000);
    await start([{ ...rawJson(['{"data":"', piece, piece, piece, '"}']), fault: { kind: 'reset_mid_body', afterPieces: 4 } }]);
    const answer = await gateway.post('/chat/completions', CALL);
    await expect(answer.text()).rejects.toThrow('terminated');
    await gateway.calls.idle();
    // Its text cannot be read, so it counts by its bytes, up to what was held.
    expect(gateway.ledger.usage[0]).toMatchObject({ completionTokens: 100, estimated: true });
  });
});

const rawJson = (pieces: string[]): Partial<OpenAiBehaviour> => ({ rawPieces: { contentType: 'application/json', pieces } });

describe("the caller's own error", () => {
  test.each([400, 404, 409, 422])('%i passes, is not billed and not tried again', async (code) => {
    await start([status(code), {}]);
    const answer = await failed();
    expect(answer.status).toBe(code);
    expect(answer.error).toEqual({
      message: `The server was told to answer ${code}.`,
      type: expect.any(String) as string,
      param: null,
      code: 'told_to',
    });
    expect(servers[1]?.received).toHaveLength(0);
    expectReleased();
  });

  test('a 4xx to a stream request passes as JSON', async () => {
    await start([status(422)]);
    expect((await failed(true)).status).toBe(422);
    expectReleased();
  });
});

describe('a fault of ours', () => {
  const boom = (at: string): void => {
    gateway.onFailpoint = (point) => {
      if (point === at) throw new Error('a fault of ours');
    };
  };

  test('an upstream that cannot be opened returns the hold, is logged, and answers 502', async () => {
    await start(['http://127.0.0.1:99999/v1']);
    const answer = await failed();
    expect(answer.status).toBe(502);
    expectReleased();
    expect(gateway.logged.some(({ level, message }) => level === 'error' && message === 'an upstream cannot be opened')).toBe(true);
  });

  test.each([false, true])('after the answer began books an estimate and leaves no hold (stream: %s)', async (stream) => {
    await start([{}]);
    boom('call.first-byte');
    await gateway.post('/chat/completions', { ...CALL, stream }).then(
      (answer) => answer.text(),
      () => 'cut',
    );
    await eventually(() => gateway.ledger.usage.length).toBe(1);
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: true, interrupted: false });
    expect(gateway.account(CAP).reserved).toBe(0n);
    expect(gateway.account(CAP).spent).toBeGreaterThan(0n);
    expect(gateway.logged.some(({ message }) => message === 'a call failed by a fault of ours')).toBe(true);
  });
});

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ApiKey, Model } from '../../../src/core/records.ts';
import {
  CAP,
  eventually,
  KEY,
  KEY_MONEY,
  priceOf,
  startGateway,
  type Gateway,
  type GatewayOptions,
} from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiServer } from '../../support/openai-server.ts';

const CALL = { model: 'm1', max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] };

let gateway: Gateway;
let servers: OpenAiServer[] = [];
/** How far the clock of lengths has been moved beside its own running. */
let skippedMs: number;

async function start(count: number, options: GatewayOptions = {}): Promise<void> {
  for (let index = 0; index < count; index++) servers.push(await startOpenAiServer());
  const upstreamUrls = servers.map(({ url }) => url);
  gateway = await startGateway({ upstreamUrls, elapsedMs: () => performance.now() + skippedMs, ...options });
}

beforeEach(() => {
  skippedMs = 0;
});
afterEach(async () => {
  await gateway.close();
  for (const server of servers) await server.close();
  servers = [];
});

const server = (index: number): OpenAiServer => {
  const found = servers[index];
  if (found === undefined) throw new Error('no such server');
  return found;
};

const setModel = (changes: Partial<Model>): void => {
  const model = gateway.models.get('m1');
  if (model !== undefined) gateway.models.set('m1', { ...model, ...changes });
};

const setKey = (changes: Partial<ApiKey>): void => {
  const key = gateway.keys.get(KEY);
  if (key !== undefined) gateway.keys.set(KEY, { ...key, ...changes });
};

async function call(body: object = CALL): Promise<number> {
  const answer = await gateway.post('/chat/completions', body);
  await answer.text();
  return answer.status;
}

const received = (): number[] => servers.map((each) => each.received.length);
const failing = (index: number, status = 500): void => {
  server(index).behaviour.fault = { kind: 'status', status };
};
const healthOf = (id: string): ReturnType<Gateway['calls']['health']['report']> => {
  const upstream = gateway.upstreams.get(id);
  if (upstream === undefined) throw new Error('no such upstream');
  return gateway.calls.health.report(upstream);
};

describe('weights', () => {
  test('draw the upstream that is asked first; the others are asked where it fails', async () => {
    const draws = [0.1, 0.74, 0.76, 0.9];
    await start(2, { random: () => draws.shift() ?? 0 });
    setModel({
      upstreams: [
        { id: 'u1', model: 'a', weight: 3 },
        { id: 'u2', model: 'b', weight: 1 },
      ],
    });
    for (let index = 0; index < 4; index++) expect(await call()).toBe(200);
    expect(received()).toEqual([2, 2]);
    failing(0);
    expect(await call()).toBe(200);
    expect(received()).toEqual([3, 3]);
  });

  test('price a call that was drawn elsewhere by where it went', async () => {
    await start(2, { random: () => 0.9 });
    setModel({
      upstreams: [
        { id: 'u1', model: 'a', weight: 1 },
        { id: 'u2', model: 'b', weight: 1 },
      ],
    });
    gateway.prices.push(priceOf({ id: 'p2', upstreamId: 'u2', inputNanos: 1000 }));
    expect(await call()).toBe(200);
    expect(gateway.ledger.usage[0]).toMatchObject({ upstreamId: 'u2', priceId: 'p2', costNanoUsd: 9n * 1000n + 5n * 600n });
  });
});

describe('the circuit breaker', () => {
  test('asks an upstream no more after five failures in a row, until a probe is answered', async () => {
    await start(2);
    failing(0);
    for (let index = 0; index < 8; index++) expect(await call()).toBe(200);
    expect(received()).toEqual([5, 8]);
    expect(healthOf('u1')).toMatchObject({ state: 'open', openedCount: 1, lastFailure: { code: 'upstream_failed' } });
    expect(healthOf('u2')).toMatchObject({ state: 'closed', window: { failures: 0 } });
    expect(gateway.logged.find(({ fields }) => fields['to'] === 'open')).toMatchObject({
      level: 'warn',
      fields: { upstream: 'u1', from: 'closed' },
    });

    skippedMs += 5000;
    expect(await call()).toBe(200);
    expect(received()).toEqual([6, 9]);
    expect(await call()).toBe(200);
    expect(received()).toEqual([6, 10]);

    // The first cool-down was doubled by the probe that failed.
    skippedMs += 5000;
    expect(await call()).toBe(200);
    expect(received()).toEqual([6, 11]);
    server(0).behaviour.fault = null;
    skippedMs += 5000;
    for (let index = 0; index < 3; index++) expect(await call()).toBe(200);
    expect(received()).toEqual([9, 11]);
    expect(healthOf('u1')).toMatchObject({ state: 'closed', consecutiveFailures: 0 });
    expect(gateway.logged.filter(({ fields }) => fields['upstream'] === 'u1' && 'to' in fields).map(({ fields }) => fields['to'])).toEqual([
      'open',
      'half_open',
      'open',
      'half_open',
      'closed',
    ]);
  });

  test('lets one call at a time try whether an upstream is back', async () => {
    await start(2);
    failing(0);
    for (let index = 0; index < 5; index++) await call();
    server(0).behaviour.fault = null;
    server(0).behaviour.gated = true;
    skippedMs += 5000;
    const probe = call();
    await eventually(() => server(0).waiting()).toBe(1);
    expect(await Promise.all([call(), call(), call()])).toEqual([200, 200, 200]);
    expect(received()).toEqual([6, 8]);
    server(0).release();
    expect(await probe).toBe(200);
    expect(healthOf('u1').state).toBe('closed');
  });

  test('asks open upstreams all the same where every one is open, the one that is back soonest first', async () => {
    await start(2);
    failing(0);
    for (let index = 0; index < 5; index++) expect(await call()).toBe(200);
    skippedMs += 1000;
    failing(1);
    for (let index = 0; index < 5; index++) expect(await call()).toBe(502);
    expect([healthOf('u1').state, healthOf('u2').state]).toEqual(['open', 'open']);
    const before = received();
    expect(await call()).toBe(502);
    expect(received()).toEqual(before.map((count) => count + 1));
    server(1).behaviour.fault = null;
    expect(await call()).toBe(200);
    expect(healthOf('u2').state).toBe('closed');
    // The first one failed as a last resort, which keeps it open for as long as it was to be.
    expect(healthOf('u1').state).toBe('open');
  });

  test.each([400, 404, 422])("never opens by the caller's own %i", async (status) => {
    await start(1);
    failing(0, status);
    for (let index = 0; index < 12; index++) expect(await call()).toBe(status);
    expect(healthOf('u1')).toMatchObject({ state: 'closed', consecutiveFailures: 0, window: { attempts: 12, failures: 0 } });
  });

  test('opens by time limits', async () => {
    await start(2, { limits: { upstreamTimeoutMs: 100 } });
    server(0).behaviour.gated = true;
    const five = [call(), call(), call(), call(), call()];
    expect(await Promise.all(five)).toEqual([200, 200, 200, 200, 200]);
    expect(healthOf('u1')).toMatchObject({ state: 'open', lastFailure: { code: 'upstream_timeout' } });
  });

  test('opens by answers that break off in the middle', async () => {
    await start(1);
    server(0).behaviour.fault = { kind: 'reset_mid_body', afterPieces: 2 };
    for (let index = 0; index < 20; index++) await call({ ...CALL, stream: true }).catch(() => 0);
    expect(healthOf('u1')).toMatchObject({ state: 'open', lastFailure: { code: 'broke_off' } });
  });

  test('is not moved by connections that break after the end of a stream', async () => {
    await start(1);
    server(0).behaviour.rawPieces = { contentType: 'text/event-stream', pieces: [`data: {"choices":[]}\n\n`, 'data: [DONE]\n\n', '\n'] };
    server(0).behaviour.fault = { kind: 'reset_mid_body', afterPieces: 2 };
    for (let index = 0; index < 5; index++) expect(await call({ ...CALL, stream: true })).toBe(200);
    expect(healthOf('u1')).toMatchObject({ state: 'closed', window: { attempts: 5, failures: 0 }, lastFailure: null });
  });

  test('begins anew where the upstream was given another address', async () => {
    await start(2);
    failing(0);
    for (let index = 0; index < 5; index++) await call();
    expect(healthOf('u1').state).toBe('open');
    const [upstream] = gateway.upstreams.values();
    if (upstream !== undefined) gateway.upstreams.set('u1', { ...upstream, baseUrl: server(1).url });
    expect(healthOf('u1').state).toBe('closed');
  });

  test('asks an upstream that answered 429 after the others, for as long as it said', async () => {
    await start(2);
    server(0).behaviour.fault = { kind: 'status', status: 429, headers: { 'retry-after': '20' } };
    for (let index = 0; index < 3; index++) expect(await call()).toBe(200);
    expect(received()).toEqual([1, 3]);
    expect(healthOf('u1')).toMatchObject({ state: 'closed', consecutiveFailures: 0 });
    expect(healthOf('u1').restsForMs).toBeGreaterThan(0);
    // It is asked where the other one fails, and what it answers is passed on.
    failing(1);
    const answer = await gateway.post('/chat/completions', CALL);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '20']);
    expect(received()).toEqual([2, 4]);
    server(0).behaviour.fault = null;
    skippedMs += 20_000;
    expect(await call()).toBe(200);
    expect(received()).toEqual([3, 4]);
  });
});

describe('aliases', () => {
  test('call the model; usage and price are under its id, and the answer says what the upstream said', async () => {
    await start(1);
    setModel({ aliases: ['small', 'org/best'] });
    const answer = await gateway.post('/chat/completions', { ...CALL, model: 'org/best' });
    expect(answer.status).toBe(200);
    expect(((await answer.json()) as { model: string }).model).toBe('up-m1');
    expect(gateway.ledger.usage[0]).toMatchObject({ model: 'm1', priceId: 'p1', costNanoUsd: 9n * 150n + 5n * 600n });
    expect(JSON.parse(server(0).received[0]?.bodyText ?? '{}')).toMatchObject({ model: 'up-m1' });
  });

  test("are what an upstream's complaint calls the model", async () => {
    await start(1);
    setModel({ aliases: ['small'] });
    await withComplaining('the model up-m1 is busy', async () => {
      const answer = await gateway.post('/chat/completions', { ...CALL, model: 'small' });
      expect(((await answer.json()) as { error: { message: string } }).error.message).toBe('the model small is busy');
    });
  });

  test('stand in the list of models beside the id, and can be looked up', async () => {
    await start(1);
    setModel({ aliases: ['small'] });
    const get = (path: string): Promise<Response> => fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${KEY}` } });
    const { data } = (await (await get('/models')).json()) as { data: { id: string; alias_of?: string; pricing?: object }[] };
    expect(data.map(({ id, alias_of }) => [id, alias_of])).toEqual([
      ['m1', undefined],
      ['small', 'm1'],
    ]);
    expect(data[1]?.pricing).toEqual(data[0]?.pricing);
    expect(await (await get('/models/small')).json()).toEqual(data[1]);
  });
});

describe('a key with a list of models', () => {
  test('calls those, and no other: 404, as for one that does not exist', async () => {
    await start(1);
    const model = gateway.models.get('m1');
    if (model !== undefined) gateway.models.set('m2', { ...model, id: 'm2', aliases: ['two'] });
    gateway.prices.push(priceOf({ id: 'p2', modelId: 'm2' }));
    setKey({ allowedModels: ['m2', 'gone'] });
    for (const name of ['m2', 'two']) expect(await call({ ...CALL, model: name })).toBe(200);
    const [denied, unknown] = await Promise.all(
      ['m1', 'nobody'].map(async (name) => {
        const answer = await gateway.post('/chat/completions', { ...CALL, model: name });
        return { status: answer.status, text: (await answer.text()).replaceAll(name, 'NAME') };
      }),
    );
    expect(denied?.status).toBe(404);
    expect(denied).toEqual(unknown);
    expect(received()).toEqual([2]);
    expect(gateway.account(CAP).reserved).toBe(0n);
  });

  test('sees those only', async () => {
    await start(1);
    const model = gateway.models.get('m1');
    if (model !== undefined) gateway.models.set('m2', { ...model, id: 'm2', aliases: ['two'] });
    setKey({ allowedModels: ['m2'] });
    const get = (path: string): Promise<Response> => fetch(`${gateway.url}${path}`, { headers: { authorization: `Bearer ${KEY}` } });
    const { data } = (await (await get('/models')).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual(['m2', 'two']);
    expect(await Promise.all(['m1', 'm2', 'two'].map(async (id) => (await get(`/models/${id}`)).status))).toEqual([404, 200, 200]);
  });
});

describe('a soft key', () => {
  const UNLIMITED = { model: 'm1', messages: [{ role: 'user', content: 'hello there' }] };
  /** An answer of more tokens than the model's default output of 256: no limit told the upstream to stop. */
  const longAnswer = (usage: object): { contentType: string; pieces: string[] } => ({
    contentType: 'application/json',
    pieces: [JSON.stringify({ choices: [{ index: 0, message: { role: 'assistant', content: 'castle '.repeat(400) } }], ...usage })],
  });
  const TOLD = { usage: { prompt_tokens: 9, completion_tokens: 401, total_tokens: 410 } };

  test('sends no limit of ours, and is held by the default of the model', async () => {
    await start(1);
    setKey({ outputBound: 'soft' });
    const answer = await gateway.post('/chat/completions', UNLIMITED);
    expect(answer.headers.get('x-castellan-output-limit')).toBeNull();
    await answer.text();
    const sent = JSON.parse(server(0).received[0]?.bodyText ?? '{}') as object;
    expect(Object.keys(sent).filter((name) => name.startsWith('max_'))).toEqual([]);
    const reserve = gateway.commands.find((command) => command.verb === 'reserve');
    expect(reserve?.output).toEqual({ min: 16n, max: 256n });
  });

  test('has what is above its hold booked, and its next call refused', async () => {
    await start(1);
    setKey({ outputBound: 'soft' });
    gateway.allocate(CAP, 300n);
    gateway.allocate(KEY_MONEY, 1_000_000n);
    server(0).behaviour.rawPieces = longAnswer(TOLD);
    expect(await call(UNLIMITED)).toBe(200);
    const { completionTokens, estimated, costNanoUsd } = gateway.ledger.usage[0] ?? {};
    expect(completionTokens).toBe(401);
    expect(estimated).toBe(false);
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: BigInt(9 + (completionTokens ?? 0)) });
    expect(gateway.account(KEY_MONEY).spent).toBe(((costNanoUsd ?? 0n) + 9n) / 10n);
    expect(gateway.calls.counters).toMatchObject({ holdViolations: 0, softOverruns: 1 });
    const refused = await gateway.post('/chat/completions', UNLIMITED);
    expect([refused.status, ((await refused.json()) as { error: { code: string } }).error.code]).toEqual([402, 'cap_exceeded']);
  });

  test('keeps a limit that its caller set, which bounds the call as for every key', async () => {
    await start(1);
    setKey({ outputBound: 'soft' });
    expect(await call({ ...UNLIMITED, max_tokens: 40 })).toBe(200);
    expect(JSON.parse(server(0).received[0]?.bodyText ?? '{}')).toMatchObject({ max_tokens: 40 });
    expect(gateway.commands.find((command) => command.verb === 'reserve')?.output).toEqual({ min: 40n, max: 40n });
  });

  test('has an answer that nobody counted estimated by its text, beyond its hold', async () => {
    await start(1);
    setKey({ outputBound: 'soft' });
    server(0).behaviour.rawPieces = longAnswer({});
    expect(await call(UNLIMITED)).toBe(200);
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: true });
    expect(gateway.ledger.usage[0]?.completionTokens).toBeGreaterThan(256);
  });

  test('beside it a hard key is never given more than it holds', async () => {
    await start(1);
    server(0).behaviour.text = 'castle '.repeat(400);
    const answer = await gateway.post('/chat/completions', UNLIMITED);
    expect(answer.headers.get('x-castellan-output-limit')).toBe('256');
    await answer.text();
    expect(gateway.ledger.usage[0]?.completionTokens).toBeLessThanOrEqual(256);
  });
});

describe('headers of an upstream', () => {
  const HEADERS = { 'X-Team': 'castle', Authorization: 'Basic c2VjcmV0', accept: 'application/json' };

  test('go with every request, before those of the caller, and are told to nobody', async () => {
    await start(1);
    const [upstream] = gateway.upstreams.values();
    // The harness's box seals nothing.
    if (upstream !== undefined)
      gateway.upstreams.set('u1', { ...upstream, headerNames: Object.keys(HEADERS), headersSealed: JSON.stringify(HEADERS) });
    server(0).behaviour.fault = { kind: 'status', status: 400 };
    const answer = await gateway.post('/chat/completions', CALL, { accept: 'text/plain', 'x-team': 'mine' });
    await answer.text();
    expect(server(0).received[0]?.headers).toMatchObject({
      'x-team': 'castle',
      authorization: 'Basic c2VjcmV0',
      accept: 'application/json',
    });
    expect(JSON.stringify(gateway.logged)).not.toContain('c2VjcmV0');
  });

  test('are taken out of what an upstream complains of', async () => {
    await start(1);
    const [upstream] = gateway.upstreams.values();
    if (upstream !== undefined)
      gateway.upstreams.set('u1', { ...upstream, headerNames: ['X-Token'], headersSealed: '{"X-Token":"open sesame"}' });
    await withComplaining('your token "open sesame" is of no use', async () => {
      const answer = await gateway.post('/chat/completions', CALL);
      expect(answer.status).toBe(422);
      const text = await answer.text();
      expect(text).toContain('your token');
      expect(text).not.toContain('sesame');
      expect(gateway.logged.map((line) => JSON.stringify(line)).join()).not.toContain('sesame');
    });
  });
});

/** Runs `work` while `u1` is a server that answers every request with 422 and an error of that message. */
async function withComplaining(message: string, work: () => Promise<void>): Promise<void> {
  const body = JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code: null } });
  const listening = createServer((request, response) => {
    request.resume();
    response.writeHead(422, { 'content-type': 'application/json' }).end(body);
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  const { port } = listening.address() as AddressInfo;
  const [upstream] = gateway.upstreams.values();
  if (upstream !== undefined) gateway.upstreams.set('u1', { ...upstream, baseUrl: `http://127.0.0.1:${port}/v1` });
  try {
    await work();
  } finally {
    listening.closeAllConnections();
    await new Promise<void>((resolve) => listening.close(() => resolve()));
  }
}

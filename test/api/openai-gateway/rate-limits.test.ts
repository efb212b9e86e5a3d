import OpenAI, { RateLimitError } from 'openai';
import { afterEach, describe, expect, test } from 'vitest';
import type { RateLimits } from '../../../src/core/records.ts';
import { CAP, KEY, keyOf, startGateway, type Gateway, type GatewayOptions } from '../../support/gateway-harness.ts';
import { letSpeak, messagesAnswer } from '../../support/messages-upstream.ts';
import { startOpenAiServer, type OpenAiServer } from '../../support/openai-server.ts';

const MINUTE_MS = Date.parse('2026-11-22T10:07:00Z');
const CALL = { model: 'm1', max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] };
const OTHER = 'tk_0000000000000000000000000000008';

let gateway: Gateway;
let servers: OpenAiServer[] = [];
/** The moment, for the gateway and its store. */
let nowMs: number;

async function start(count = 1, options: GatewayOptions = {}): Promise<void> {
  nowMs = MINUTE_MS + 47_500;
  for (let index = 0; index < count; index++) servers.push(await startOpenAiServer());
  const upstreamUrls = servers.map(({ url }) => url);
  gateway = await startGateway({ upstreamUrls, wallMs: () => nowMs, storeMs: () => nowMs, ...options });
}

afterEach(async () => {
  for (const server of servers) server.release();
  await gateway.close();
  for (const server of servers) await server.close();
  servers = [];
});

const limits = (requestsPerMinute: number | null, tokensPerMinute: number | null = null): { rateLimits: RateLimits } => ({
  rateLimits: { requestsPerMinute, tokensPerMinute },
});

function change<T extends object>(map: Map<string, T>, id: string, changes: Partial<T>): void {
  const found = map.get(id);
  if (found === undefined) throw new Error(`no ${id}`);
  map.set(id, { ...found, ...changes });
}
const limitKey = (...args: Parameters<typeof limits>): void => change(gateway.keys, KEY, limits(...args));
const limitModel = (...args: Parameters<typeof limits>): void => change(gateway.models, 'm1', limits(...args));
const limitUpstream = (id: string, ...args: Parameters<typeof limits>): void => change(gateway.upstreams, id, limits(...args));

const call = (body: object = CALL, headers: Record<string, string> = {}): Promise<Response> =>
  gateway.post('/chat/completions', body, headers);
const ended = async (answer: Response): Promise<Response> => {
  await answer.clone().text();
  return answer;
};
const told = ({ headers }: Response): Record<string, string> =>
  Object.fromEntries([...headers].filter(([name]) => name.includes('ratelimit') || name === 'retry-after' || name === 'x-should-retry'));
const errorOf = async (answer: Response): Promise<{ code: string; type: string; message: string }> =>
  ((await answer.json()) as { error: { code: string; type: string; message: string } }).error;
const statuses = (answers: readonly Response[]): number[] => answers.map(({ status }) => status).toSorted((a, b) => a - b);

describe("a key's limit of requests", () => {
  test('admits exactly so many of many at once, while answers are withheld, and tells each how it stands', async () => {
    await start();
    limitKey(5);
    const server = servers[0];
    if (server === undefined) throw new Error('no server');
    server.behaviour.gated = true;
    const answers = Promise.all(Array.from({ length: 12 }, () => call()));
    await expect.poll(() => server.received.length).toBe(5);
    await expect.poll(() => gateway.calls.counters.refused).toBe(7);
    server.release();
    const all = await Promise.all((await answers).map(ended));
    expect(statuses(all)).toEqual([...Array<number>(5).fill(200), ...Array<number>(7).fill(429)]);
    const remaining = all.filter(({ status }) => status === 200).map(({ headers }) => headers.get('x-ratelimit-remaining-requests'));
    expect(new Set(remaining)).toEqual(new Set(['0', '1', '2', '3', '4']));
    for (const refused of all.filter(({ status }) => status === 429)) {
      expect(told(refused)).toEqual({
        'x-ratelimit-limit-requests': '5',
        'x-ratelimit-remaining-requests': '0',
        'x-ratelimit-reset-requests': '12.5s',
        'retry-after': '13',
        'x-should-retry': 'true',
      });
      expect(await errorOf(refused)).toEqual({
        code: 'rate_limited',
        type: 'rate_limit_error',
        param: null,
        message: 'this API key may take 5 requests a minute; the next minute begins at 2026-11-22T10:08:00Z',
      });
    }
    expect(gateway.account(CAP).reserved).toBe(0n);
    nowMs = MINUTE_MS + 60_000;
    expect((await ended(await call())).headers.get('x-ratelimit-remaining-requests')).toBe('4');
  });

  test('is its own, and a call that fails upstream counts and tells it too', async () => {
    await start();
    limitKey(2);
    gateway.keys.set(OTHER, { ...keyOf('k8', 'inference'), ...limits(1) });
    gateway.allocate(CAP.replace('k1', 'k8') as typeof CAP, null);
    const server = servers[0];
    if (server === undefined) throw new Error('no server');
    server.behaviour.fault = { kind: 'status', status: 500 };
    const failed = await call();
    expect([failed.status, failed.headers.get('x-ratelimit-remaining-requests')]).toEqual([502, '1']);
    server.behaviour.fault = null;
    const others = [await call(CALL, { authorization: `Bearer ${OTHER}` }), await call(CALL, { authorization: `Bearer ${OTHER}` })];
    expect(others.map(({ status }) => status)).toEqual([200, 429]);
    expect([(await call()).status, (await call()).status]).toEqual([200, 429]);
  });

  test('is told in a stream as well, and a refusal costs no flush', async () => {
    await start();
    limitKey(1);
    const stream = await ended(await call({ ...CALL, stream: true }));
    expect(told(stream)).toMatchObject({ 'x-ratelimit-limit-requests': '1', 'x-ratelimit-remaining-requests': '0' });
    const flushes = gateway.flushes();
    expect((await call()).status).toBe(429);
    expect(gateway.flushes()).toBe(flushes);
  });
});

describe('a limit of tokens', () => {
  test('takes what a call holds before it, and leaves what it used after it', async () => {
    await start();
    limitKey(null, 10_000);
    const first = await ended(await call());
    const { usage } = (await first.json()) as { usage: { total_tokens: number } };
    const held = 10_000 - Number(first.headers.get('x-ratelimit-remaining-tokens'));
    expect(held).toBeGreaterThan(100);
    expect(held).toBeGreaterThan(usage.total_tokens);
    const second = await ended(await call());
    expect(second.headers.get('x-ratelimit-remaining-tokens')).toBe(String(10_000 - usage.total_tokens - held));
  });

  test('is given back by a call that no upstream worked for', async () => {
    await start();
    limitModel(null, 200);
    const server = servers[0];
    if (server === undefined) throw new Error('no server');
    server.behaviour.fault = { kind: 'status', status: 503 };
    for (let index = 0; index < 4; index++) expect((await call()).status).toBe(502);
  });

  test('refuses for good what no minute has room for, and lowers an output that was left open to what one has', async () => {
    await start(1, { model: { defaultOutputTokens: 500 } });
    limitModel(null, 300);
    const refused = await call({ ...CALL, max_tokens: 1000 });
    expect([refused.status, refused.headers.get('x-should-retry'), refused.headers.get('retry-after')]).toEqual([429, 'false', null]);
    expect((await errorOf(refused)).message).toMatch(/each tenant of this model may use 300 a minute; ask for less output$/);
    const { max_tokens: _max, ...open } = CALL;
    const lowered = await ended(await call(open));
    expect(lowered.status).toBe(200);
    const limit = Number(lowered.headers.get('x-castellan-output-limit'));
    expect(limit).toBeGreaterThan(200);
    expect(limit).toBeLessThan(300);
  });

  test("beside a key's: the tightest of each unit is told, and what refuses for good goes before what only waits", async () => {
    await start();
    limitKey(50, 5000);
    limitModel(3, 90_000);
    const answer = await ended(await call());
    expect(told(answer)).toMatchObject({ 'x-ratelimit-limit-requests': '3', 'x-ratelimit-limit-tokens': '5000' });
    for (let index = 0; index < 2; index++) await ended(await call());
    expect((await errorOf(await call())).code).toBe('rate_limited');
    gateway.allocate(CAP, 0n);
    expect((await errorOf(await call())).code).toBe('cap_exceeded');
  });
});

describe("an upstream's limit", () => {
  test('sends the call to the next one when it is used up, and refuses without its name when all are', async () => {
    await start(2);
    limitUpstream('u1', 2);
    limitUpstream('u2', 1);
    const answers: Response[] = [];
    for (let index = 0; index < 4; index++) answers.push(await ended(await call()));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
    expect(servers.map(({ received }) => received.length)).toEqual([2, 1]);
    expect(answers[0] === undefined ? null : told(answers[0])).toEqual({});
    const refused = answers[3];
    if (refused === undefined) throw new Error('no answer');
    expect(told(refused)).toMatchObject({ 'retry-after': '13', 'x-should-retry': 'true', 'x-ratelimit-remaining-requests': '0' });
    const text = await refused.text();
    expect(text).toContain('what serves this model may take 2 requests a minute');
    expect(text).not.toMatch(/u1|u2|127\.0\.0\.1/);
    expect(gateway.account(CAP).reserved).toBe(0n);
    nowMs = MINUTE_MS + 60_000;
    expect((await call()).status).toBe(200);
  });

  test('admits exactly so many of many at once while answers are withheld, and the rest go on', async () => {
    await start(2);
    limitUpstream('u1', 3);
    for (const server of servers) server.behaviour.gated = true;
    const answers = Promise.all(Array.from({ length: 10 }, () => call()));
    await expect.poll(() => servers.map(({ received }) => received.length)).toEqual([3, 7]);
    for (const server of servers) server.release();
    expect(statuses(await answers)).toEqual(Array<number>(10).fill(200));
  });

  test('of tokens is corrected to what was used there, and to nothing where it failed', async () => {
    await start(2);
    limitUpstream('u1', null, 150);
    limitUpstream('u2', null, 150);
    const [first] = servers;
    if (first === undefined) throw new Error('no server');
    first.behaviour.fault = { kind: 'status', status: 500 };
    const asked = async (): Promise<number> => (await ended(await call({ ...CALL, max_tokens: 80 }))).status;
    expect(await asked()).toBe(200);
    first.behaviour.fault = null;
    // Each holds more than half of 150, so only what was corrected leaves room for the next one.
    expect([await asked(), await asked()]).toEqual([200, 200]);
    expect(servers.map(({ received }) => received.length)).toEqual([3, 1]);
  });

  test('costs a call of an upstream without limits no command', async () => {
    await start();
    await ended(await call());
    expect(gateway.commands.map(({ verb }) => verb)).toEqual(['reserve', 'settle-call']);
    expect(gateway.commands.some((command) => 'rates' in command)).toBe(false);
  });
});

test("in Anthropic's API limits have its names", async () => {
  await start();
  letSpeak(gateway, 'u1', ['anthropic']);
  limitKey(1, 100_000);
  const body = { model: 'm1', max_tokens: 10, messages: CALL.messages };
  const [server] = servers;
  if (server === undefined) throw new Error('no server');
  server.behaviour.rawPieces = { contentType: 'application/json', pieces: [messagesAnswer({ input_tokens: 5, output_tokens: 3 })] };
  const admitted = await ended(await gateway.post('/messages', body));
  expect(admitted.status).toBe(200);
  expect(told(admitted)).toMatchObject({ 'anthropic-ratelimit-requests-remaining': '0', 'anthropic-ratelimit-tokens-limit': '100000' });
  const refused = await gateway.post('/messages', body);
  expect(refused.status).toBe(429);
  expect(told(refused)).toMatchObject({
    'anthropic-ratelimit-requests-limit': '1',
    'anthropic-ratelimit-requests-remaining': '0',
    'anthropic-ratelimit-requests-reset': '2026-11-22T10:08:00Z',
    'anthropic-ratelimit-tokens-limit': '100000',
    'anthropic-ratelimit-tokens-remaining': '99992',
    'retry-after': '13',
  });
  expect(await refused.json()).toMatchObject({ error: { type: 'rate_limit_error', code: 'rate_limited' } });
  // A count of tokens takes nothing of any limit, and is refused by none.
  limitUpstream('u1', 1);
  const { max_tokens: _max, ...counted } = body;
  const counts = [await gateway.post('/messages/count_tokens', counted), await gateway.post('/messages/count_tokens', counted)];
  expect(counts.map(({ status }) => status)).toEqual([200, 200]);
});

test("OpenAI's own client reads the limits, and tries again when it is told to", async () => {
  await start();
  limitKey(1);
  nowMs = MINUTE_MS + 59_500;
  const client = new OpenAI({ apiKey: KEY, baseURL: gateway.url, maxRetries: 1 });
  const ask = (options: { maxRetries?: number } = {}) =>
    client.chat.completions.create({ model: 'm1', messages: [{ role: 'user', content: 'hello' }] }, options);
  const { response } = await ask().withResponse();
  expect(response.headers.get('x-ratelimit-remaining-requests')).toBe('0');
  const error = await ask({ maxRetries: 0 }).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(RateLimitError);
  expect((error as RateLimitError).headers?.get('x-ratelimit-reset-requests')).toBe('500ms');
  expect((error as RateLimitError).code).toBe('rate_limited');
  const retried = ask();
  await expect.poll(() => gateway.calls.counters.refused).toBe(2);
  nowMs = MINUTE_MS + 60_500;
  expect((await retried).choices).toHaveLength(1);
});

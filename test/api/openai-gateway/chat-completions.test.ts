import { afterEach, describe, expect, test } from 'vitest';
import { USAGE_ANSWER_HEADER } from '../../../src/core/metering/usage-header.ts';
import type { ReserveCommand } from '../../../src/core/ledger/commands.ts';
import {
  eventually,
  CAP,
  KEY_MONEY,
  priceOf,
  startGateway,
  TENANT_MONEY,
  TENANT_TOKENS,
  type Gateway,
  type GatewayOptions,
} from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiBehaviour, type OpenAiServer } from '../../support/openai-server.ts';

const HELLO = { model: 'm1', messages: [{ role: 'user', content: 'hello there' }] };
/** `user` and `hello there` are 4 tokens with the line between them; 8 for the message, 16 of overhead. */
const HELLO_BOUND = 28;
const ASK_USAGE = { 'X-Tinfoil-Request-Usage-Metrics': 'true' };

let gateway: Gateway;
let upstream: OpenAiServer;

async function start(behaviour: Partial<OpenAiBehaviour> = {}, options: GatewayOptions = {}): Promise<void> {
  upstream = await startOpenAiServer(behaviour);
  gateway = await startGateway({ upstreamUrls: [upstream.url], ...options });
}

afterEach(async () => {
  // A test that failed may have left calls waiting.
  upstream.release();
  await gateway.close();
  await upstream.close();
});

const sentBody = (index = 0): Record<string, unknown> =>
  JSON.parse(upstream.received[index]?.bodyText ?? 'null') as Record<string, unknown>;
const holds = (): ReserveCommand[] => gateway.commands.filter((command) => command.verb === 'reserve');

describe('200', () => {
  test('holds the bound of the prompt and the limit of the caller on every account, and settles with what was used', async () => {
    await start({ gated: true });
    gateway.allocate(CAP, 1_000_000n);
    gateway.allocate(KEY_MONEY, 1_000_000n);
    gateway.allocate(TENANT_MONEY, 1_000_000n);
    gateway.allocate(TENANT_TOKENS, 1_000_000n);
    const answering = gateway.post('/chat/completions', { ...HELLO, max_tokens: 100 });
    await eventually(() => upstream.waiting()).toBe(1);

    const heldTokens = BigInt(HELLO_BOUND + 100);
    const heldMicrocents = BigInt((HELLO_BOUND * 150 + 100 * 600) / 10);
    for (const id of [CAP, TENANT_TOKENS]) expect(gateway.account(id)).toMatchObject({ reserved: heldTokens, spent: 0n });
    for (const id of [KEY_MONEY, TENANT_MONEY]) expect(gateway.account(id)).toMatchObject({ reserved: heldMicrocents, spent: 0n });

    upstream.release();
    const answer = await answering;
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-castellan-output-limit')).toBeNull();
    const { usage } = (await answer.json()) as { usage: { prompt_tokens: number; completion_tokens: number } };
    expect(usage).toMatchObject({ prompt_tokens: 9, completion_tokens: 5 });
    for (const id of [CAP, TENANT_TOKENS]) expect(gateway.account(id)).toMatchObject({ reserved: 0n, spent: 14n });
    // 9 * 150 + 5 * 600 = 4350 nano-dollars.
    for (const id of [KEY_MONEY, TENANT_MONEY]) expect(gateway.account(id)).toMatchObject({ reserved: 0n, spent: 435n });
    expect(gateway.ledger.usage).toEqual([
      {
        id: gateway.ledger.usage[0]?.id,
        tenantId: 'acme',
        keyId: 'k1',
        model: 'm1',
        upstreamId: 'u1',
        priceId: 'p1',
        route: '/chat/completions',
        requests: 1,
        promptTokens: 9,
        completionTokens: 5,
        cachedPromptTokens: 0,
        reasoningTokens: 0,
        costNanoUsd: 4350n,
        chargeMicrocents: 435n,
        streaming: false,
        estimated: false,
        interrupted: false,
        atMs: expect.any(Number) as number,
        heldAtMs: expect.any(Number) as number,
      },
    ]);
    expect(gateway.calls.counters).toMatchObject({ calls: 1, holdViolations: 0, estimates: 0, lateSettles: 0 });
  });

  test('is booked before its answer ends', async () => {
    await start({}, { flushMs: 30 });
    const bookedAt = new Map<string, number>();
    gateway.onFailpoint = (point) => void bookedAt.set(point, gateway.ledger.usage.length);
    const answer = await gateway.post('/chat/completions', HELLO);
    await answer.text();
    expect(gateway.account(CAP).spent).toBe(14n);
    expect(bookedAt.get('call.answered')).toBe(0);
    expect(bookedAt.get('call.settled')).toBe(1);
    expect(gateway.failpoints).toEqual([
      'call.authenticated',
      'call.held',
      'call.sent',
      'call.first-byte',
      'call.answered',
      'call.settled',
      'call.ended',
    ]);
  });

  test('the answer of the upstream passes byte by byte', async () => {
    const body = '{ "id" :"x","usage":{"prompt_tokens":3,"completion_tokens":4},\n"odd":12345678901234567890123 ,"é":"\\u00e9"}';
    await start({ rawPieces: { contentType: 'application/json', pieces: [body.slice(0, 20), body.slice(20)] } });
    const answer = await gateway.post('/chat/completions', HELLO);
    expect(await answer.text()).toBe(body);
    expect(answer.headers.get('content-type')).toBe('application/json');
    expect(gateway.account(CAP).spent).toBe(7n);
  });

  test('an answer too large to gather passes whole and is booked', async () => {
    const filler = 'x'.repeat(300_000);
    const pieces = [
      '{"choices":[{"message":{"content":"',
      filler,
      filler,
      filler,
      filler,
      '"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}',
      '}',
    ];
    await start({ rawPieces: { contentType: 'application/json', pieces } });
    const answer = await gateway.post('/chat/completions', HELLO);
    expect(await answer.text()).toBe(pieces.join(''));
    expect(gateway.account(CAP).spent).toBe(7n);
    expect(gateway.ledger.usage[0]).toMatchObject({ estimated: false });
  });

  test('only headers on the list go up and come back', async () => {
    await start({}, { apiKey: 'sk-upstream-secret-1234' });
    const answer = await gateway.post('/chat/completions', HELLO, {
      'x-castellan-other': 'bot',
      cookie: 'a=b',
      'x-forwarded-for': '1.2.3.4',
      'x-tinfoil-client-requested-usage': 'true',
    });
    await answer.text();
    const { headers } = upstream.received[0] ?? { headers: {} };
    expect(headers).toMatchObject({ authorization: 'Bearer sk-upstream-secret-1234', 'content-type': 'application/json' });
    for (const name of ['x-castellan-other', 'cookie', 'x-forwarded-for', 'x-tinfoil-client-requested-usage'])
      expect(headers).not.toHaveProperty(name);
    expect(answer.headers.get('x-castellan-call-id')).toBe(gateway.ledger.usage[0]?.id);
    expect(answer.headers.get('x-request-id')).toMatch(/^req-/);
  });

  test('management keys may call too', async () => {
    await start();
    const key = [...gateway.keys.values()][0];
    if (key === undefined) throw new Error('no key');
    gateway.keys.set('mk_1', { ...key, kind: 'management' });
    const answer = await gateway.post('/chat/completions', HELLO, { authorization: 'bEaReR mk_1' });
    expect(answer.status).toBe(200);
  });
});

describe('200, the output limit', () => {
  test('without one of the caller the default of the model is sent and told', async () => {
    await start();
    const answer = await gateway.post('/chat/completions', HELLO);
    expect(answer.headers.get('x-castellan-output-limit')).toBe('256');
    expect(sentBody()).toMatchObject({ model: 'up-m1', max_tokens: 256 });
    expect(holds()[0]?.output).toEqual({ min: 16n, max: 256n });
  });

  test('the default is lowered to what the accounts leave', async () => {
    await start();
    gateway.allocate(CAP, BigInt(HELLO_BOUND + 40));
    const answer = await gateway.post('/chat/completions', HELLO);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('x-castellan-output-limit')).toBe('40');
    expect(sentBody()['max_tokens']).toBe(40);
  });

  test('the default is lowered to what the money leaves', async () => {
    await start();
    // 28 * 150 = 4200 nano-dollars of input; 30 tokens of output are 18000 more.
    gateway.allocate(TENANT_MONEY, 2220n);
    const answer = await gateway.post('/chat/completions', HELLO);
    expect(answer.headers.get('x-castellan-output-limit')).toBe('30');
  });

  test('it is never lowered below 16 tokens a choice', async () => {
    await start();
    gateway.allocate(CAP, BigInt(HELLO_BOUND + 15));
    const answer = await gateway.post('/chat/completions', HELLO);
    expect(answer.status).toBe(402);
    gateway.allocate(CAP, BigInt(HELLO_BOUND + 16));
    const second = await gateway.post('/chat/completions', HELLO);
    expect(second.headers.get('x-castellan-output-limit')).toBe('16');
  });

  test('several choices share what is held', async () => {
    await start();
    gateway.allocate(CAP, BigInt(HELLO_BOUND + 100));
    const answer = await gateway.post('/chat/completions', { ...HELLO, n: 3 });
    expect(answer.headers.get('x-castellan-output-limit')).toBe('33');
    expect(sentBody()).toMatchObject({ n: 3, max_tokens: 33 });
    expect(gateway.account(CAP).spent).toBe(9n + 15n);
  });

  test('a limit of the caller is never lowered', async () => {
    await start();
    gateway.allocate(CAP, BigInt(HELLO_BOUND + 99));
    const answer = await gateway.post('/chat/completions', { ...HELLO, max_completion_tokens: 100 });
    expect(answer.status).toBe(402);
    expect(upstream.received).toHaveLength(0);
    gateway.allocate(CAP, BigInt(HELLO_BOUND + 100));
    const second = await gateway.post('/chat/completions', { ...HELLO, max_completion_tokens: 100 });
    expect(second.status).toBe(200);
    expect(sentBody()).toMatchObject({ max_completion_tokens: 100 });
    expect(sentBody()).not.toHaveProperty('max_tokens');
  });

  test('a model may want it by its newer name', async () => {
    await start({}, { model: { outputLimitField: 'max_completion_tokens' } });
    await gateway.post('/chat/completions', HELLO);
    expect(sentBody()).toMatchObject({ max_completion_tokens: 256 });
  });
});

describe('200, counting', () => {
  test.each([
    [
      'cached tokens are part of the prompt',
      { prompt_tokens: 100, completion_tokens: 50, prompt_tokens_details: { cached_tokens: 40 } },
      150n,
      60 * 150 + 40 * 75 + 50 * 600,
    ],
    [
      'more cached tokens than prompt are clamped',
      { prompt_tokens: 10, completion_tokens: 0, prompt_tokens_details: { cached_tokens: 40 } },
      10n,
      10 * 75,
    ],
    ['a total that stands alone is input', { prompt_tokens: 0, completion_tokens: 0, total_tokens: 30 }, 30n, 30 * 150],
    ['usage of nothing is nothing', { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }, 0n, 0],
    ['input and output names count as well', { input_tokens: 4, output_tokens: 6 }, 10n, 4 * 150 + 6 * 600],
  ])('%s', async (_name, usage, tokens, nanos) => {
    await start({ rawPieces: { contentType: 'application/json', pieces: [JSON.stringify({ choices: [], usage })] } });
    gateway.allocate(TENANT_MONEY, 1_000_000n);
    await (await gateway.post('/chat/completions', HELLO)).text();
    expect(gateway.account(CAP).spent).toBe(tokens);
    expect(gateway.ledger.usage[0]).toMatchObject({ costNanoUsd: BigInt(nanos), estimated: false });
    expect(gateway.account(TENANT_MONEY).spent).toBe(BigInt(Math.ceil(nanos / 10)));
  });

  test('a cost below a micro-cent is charged as one, and kept exact', async () => {
    await start({ rawPieces: { contentType: 'application/json', pieces: ['{"usage":{"prompt_tokens":1,"completion_tokens":0}}'] } });
    gateway.prices[0] = priceOf({ inputNanos: 1 });
    gateway.allocate(TENANT_MONEY, 1_000_000n);
    await (await gateway.post('/chat/completions', HELLO)).text();
    expect(gateway.ledger.usage[0]).toMatchObject({ costNanoUsd: 1n, chargeMicrocents: 1n });
    expect(gateway.account(TENANT_MONEY).spent).toBe(1n);
  });

  test('where the upstream reports nothing, prompt and output are counted here and flagged as an estimate', async () => {
    await start({ reportUsage: false });
    await (await gateway.post('/chat/completions', HELLO)).text();
    // The prompt is its 4 tokens and 4 for the message; the answer is `You said: hello there`.
    expect(gateway.ledger.usage[0]).toMatchObject({ promptTokens: 8, completionTokens: 5, estimated: true, interrupted: false });
    expect(gateway.account(CAP)).toMatchObject({ spent: 13n, reserved: 0n });
    expect(gateway.calls.counters.estimates).toBe(1);
  });

  test('what goes above the hold is booked whole and counted', async () => {
    await start({ rawPieces: { contentType: 'application/json', pieces: ['{"usage":{"prompt_tokens":5000,"completion_tokens":0}}'] } });
    gateway.allocate(CAP, 1000n);
    await (await gateway.post('/chat/completions', { ...HELLO, max_tokens: 100 })).text();
    expect(gateway.account(CAP)).toMatchObject({ spent: 5000n, reserved: 0n });
    expect(gateway.calls.counters.holdViolations).toBe(1);
  });

  test('the price is the one of the moment of the hold', async () => {
    await start({ gated: true });
    const answering = gateway.post('/chat/completions', HELLO);
    await eventually(() => upstream.waiting()).toBe(1);
    gateway.prices.push(priceOf({ id: 'p2', inputNanos: 9999, appliesFromMs: 1 }));
    upstream.release();
    await (await answering).text();
    expect(gateway.ledger.usage[0]).toMatchObject({ priceId: 'p1', costNanoUsd: 4350n });
  });

  test('a model without a price is free and recorded so where the tenant allows it', async () => {
    await start();
    gateway.prices.length = 0;
    gateway.setTenant({ allowUnpriced: true });
    const answer = await gateway.post('/chat/completions', HELLO, ASK_USAGE);
    expect(answer.status).toBe(200);
    expect(answer.headers.get(USAGE_ANSWER_HEADER)).toBe(
      'prompt=9,completion=5,total=14,cached_prompt_tokens=0,uncached_prompt_tokens=9,model=m1',
    );
    expect(gateway.ledger.usage[0]).toMatchObject({ priceId: '', costNanoUsd: 0n });
    expect(gateway.account(CAP).spent).toBe(14n);
  });
});

describe('200, the usage header', () => {
  test('is there for those who ask, with the documented value', async () => {
    const usage = { prompt_tokens: 100, completion_tokens: 50, total_tokens: 150, prompt_tokens_details: { cached_tokens: 40 } };
    await start({ rawPieces: { contentType: 'application/json', pieces: [JSON.stringify({ usage })] } });
    gateway.prices[0] = priceOf({ cachedInputNanos: null });
    const answer = await gateway.post('/chat/completions', HELLO, ASK_USAGE);
    expect(answer.headers.get(USAGE_ANSWER_HEADER)).toBe(
      'prompt=100,completion=50,total=150,cached_prompt_tokens=40,uncached_prompt_tokens=60,model=m1,cost_usd=0.000045',
    );
  });

  test.each(['True', '1', 'TRUE', ''])('is not there for %j', async (value) => {
    await start();
    const answer = await gateway.post('/chat/completions', HELLO, { 'X-Tinfoil-Request-Usage-Metrics': value });
    expect(answer.status).toBe(200);
    expect(answer.headers.get(USAGE_ANSWER_HEADER)).toBeNull();
  });

  test('is there on an answer of several megabytes, which is gathered for it', async () => {
    const pieces = [`{"data":"${'x'.repeat(3_000_000)}"`, ',"usage":{"prompt_tokens":3,"completion_tokens":4}}'];
    await start({ rawPieces: { contentType: 'application/json', pieces } });
    const answer = await gateway.post('/chat/completions', HELLO, ASK_USAGE);
    expect(answer.headers.get(USAGE_ANSWER_HEADER)).toMatch(/^prompt=3,completion=4,total=7,/);
    expect(await answer.text()).toBe(pieces.join(''));
  });
});

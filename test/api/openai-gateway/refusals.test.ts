import { afterEach, describe, expect, test } from 'vitest';
import {
  eventually,
  CAP,
  KEY_MONEY,
  priceOf,
  startGateway,
  TENANT,
  TENANT_MONEY,
  TENANT_TOKENS,
  type Gateway,
  type GatewayOptions,
} from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiServer } from '../../support/openai-server.ts';

/** Holds 28 tokens of prompt and 100 of output: 128 tokens, 64200 nano-dollars. */
const CALL = { model: 'm1', max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] };
const HOLD_TOKENS = 128n;
const HOLD_MICROCENTS = 6420n;

let gateway: Gateway;
let upstream: OpenAiServer;

async function start(options: GatewayOptions = {}): Promise<void> {
  upstream = await startOpenAiServer();
  gateway = await startGateway({ upstreamUrls: [upstream.url], ...options });
}

afterEach(async () => {
  // A test that failed may have left calls waiting.
  upstream.release();
  await gateway.close();
  await upstream.close();
});

interface ErrorAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string;
    readonly account?: Record<string, unknown>;
  };
}

async function refused(body: unknown = CALL): Promise<ErrorAnswer> {
  const answer = await gateway.post('/chat/completions', body);
  const { error } = (await answer.json()) as { error: ErrorAnswer['error'] };
  return { status: answer.status, headers: answer.headers, error };
}

/** Nothing was sent, held, booked or flushed. */
function expectNothingDone(): void {
  expect(upstream.received).toHaveLength(0);
  expect(gateway.ledger.usage).toHaveLength(0);
  expect(gateway.ledger.reservations.size).toBe(0);
  expect(gateway.flushes()).toBe(0);
}

describe('402', () => {
  test('a used-up token cap is named with its figures and never resets', async () => {
    await start();
    gateway.allocate(CAP, 200n, { spent: 100n });
    const { status, headers, error } = await refused();
    expect(status).toBe(402);
    expect(headers.get('x-should-retry')).toBe('false');
    expect(headers.get('retry-after')).toBeNull();
    expect(error).toMatchObject({ type: 'insufficient_quota', param: null, code: 'cap_exceeded' });
    expect(error.account).toEqual({
      kind: 'key_cap',
      scope: 'key:k1',
      unit: 'TOKENS',
      limit: 200,
      spent: 100,
      reserved: 0,
      remaining: 100,
      resets_at: null,
    });
    expectNothingDone();
  });

  test.each([
    ['the money budget of the key', KEY_MONEY, 'key_cap', 'key:k1'],
    ['the money budget of the tenant', TENANT_MONEY, 'budget', `tenant:${TENANT}`],
  ])('%s', async (_name, id, kind, scope) => {
    await start();
    gateway.allocate(id, HOLD_MICROCENTS - 1n);
    const { status, error } = await refused();
    expect(status).toBe(402);
    expect(error.code).toBe('budget_exceeded');
    expect(error.account).toMatchObject({ kind, scope, unit: 'USD_MICROCENTS', limit: 6419, remaining: 6419 });
    expectNothingDone();
    gateway.allocate(id, HOLD_MICROCENTS);
    expect((await gateway.post('/chat/completions', CALL)).status).toBe(200);
  });

  test.each([
    ['budget_frozen', { status: 'FROZEN' }],
    ['budget_closed', { status: 'CLOSED' }],
    ['over_limit', { isOverLimit: true }],
    ['debt_outstanding', { debt: 5n }],
  ] as const)('%s', async (code, changes) => {
    await start();
    gateway.allocate(TENANT_TOKENS, 1_000_000n, changes);
    const { status, headers, error } = await refused();
    expect({ status, code: error.code, retry: headers.get('x-should-retry') }).toEqual({ status: 402, code, retry: 'false' });
    expectNothingDone();
  });

  test('a tenant that demands a budget refuses calls that no money account covers', async () => {
    await start();
    gateway.setTenant({ requireBudget: true });
    const { status, error } = await refused();
    expect({ status, code: error.code }).toEqual({ status: 402, code: 'budget_required' });
    expectNothingDone();
    gateway.allocate(TENANT_MONEY, 1_000_000n);
    expect((await gateway.post('/chat/completions', CALL)).status).toBe(200);
  });

  test('the key comes before the tenant, tokens before money', async () => {
    await start();
    for (const id of [TENANT_MONEY, TENANT_TOKENS, KEY_MONEY, CAP]) gateway.allocate(id, 1n);
    expect((await refused()).error.account).toMatchObject({ scope: 'key:k1', unit: 'TOKENS' });
    gateway.allocate(CAP, null);
    expect((await refused()).error.account).toMatchObject({ scope: 'key:k1', unit: 'USD_MICROCENTS' });
    gateway.allocate(KEY_MONEY, null);
    expect((await refused()).error.account).toMatchObject({ scope: 'tenant:acme', unit: 'TOKENS' });
  });

  test('figures past 2^53 keep all their digits', async () => {
    await start();
    gateway.allocate(CAP, 9_007_199_254_740_993n, { spent: 9_007_199_254_740_993n });
    const answer = await gateway.post('/chat/completions', CALL);
    expect(await answer.text()).toContain('"limit":9007199254740993,"spent":9007199254740993,');
  });

  test('a tenant may hide its figures, in the message too', async () => {
    await start();
    gateway.setTenant({ hideAmounts: true });
    gateway.allocate(CAP, 4711n, { spent: 4710n });
    const { error } = await refused();
    expect(error.account).toEqual({ kind: 'key_cap', scope: 'key:k1', unit: 'TOKENS', resets_at: null });
    expect(error.message).not.toMatch(/\d/);
  });
});

describe('429', () => {
  test('where only calls in flight are in the way, trying again soon is asked for', async () => {
    await start();
    upstream.behaviour.gated = true;
    gateway.allocate(CAP, HOLD_TOKENS + 10n);
    const first = gateway.post('/chat/completions', CALL);
    await eventually(() => upstream.waiting()).toBe(1);
    const { status, headers, error } = await refused();
    expect({ status, code: error.code }).toEqual({ status: 429, code: 'held' });
    expect(headers.get('retry-after')).toBe('1');
    expect(headers.get('x-should-retry')).toBe('true');
    expect(error.account).toMatchObject({ limit: 138, spent: 0, reserved: 128, remaining: 10 });
    upstream.release();
    expect((await first).status).toBe(200);
    // 14 of the 138 are used now, and 124 are less than a hold.
    expect((await refused()).error.code).toBe('cap_exceeded');
  });

  test('a cap that fits K holds admits exactly K of many at once', async () => {
    await start();
    upstream.behaviour.gated = true;
    gateway.allocate(CAP, HOLD_TOKENS * 7n + 5n);
    const answers = Array.from({ length: 60 }, () => gateway.post('/chat/completions', CALL));
    await eventually(() => gateway.calls.counters.refused).toBe(53);
    expect(gateway.account(CAP).reserved).toBe(HOLD_TOKENS * 7n);
    await eventually(() => upstream.waiting()).toBe(7);
    upstream.release();
    const statuses = (await Promise.all(answers)).map(({ status }) => status);
    expect(statuses.filter((status) => status === 200)).toHaveLength(7);
    expect(statuses.filter((status) => status === 429)).toHaveLength(53);
    expect(gateway.account(CAP)).toMatchObject({ reserved: 0n, spent: 98n });
  });
});

describe('403', () => {
  test.each([
    ['SUSPENDED', 'tenant_suspended'],
    ['CLOSED', 'tenant_closed'],
  ] as const)('a tenant that is %s', async (status, code) => {
    await start();
    gateway.setTenant({ status });
    const answer = await refused();
    expect({ status: answer.status, code: answer.error.code }).toEqual({ status: 403, code });
    expectNothingDone();
  });

  test('a key of a kind that may not call', async () => {
    await start();
    const [key] = gateway.keys.values();
    if (key === undefined) throw new Error('no key');
    for (const kind of ['admin', 'tenant'] as const) {
      gateway.keys.set('other', { ...key, kind });
      const answer = await gateway.post('/chat/completions', CALL, { authorization: 'Bearer other' });
      expect(answer.status).toBe(403);
    }
    expectNothingDone();
  });
});

describe('404 and 400 for a model', () => {
  test('that does not exist', async () => {
    await start();
    const { status, error } = await refused({ ...CALL, model: 'nobody' });
    expect({ status, code: error.code, param: error.param }).toEqual({ status: 404, code: 'model_not_found', param: 'model' });
    expectNothingDone();
  });

  test('without a price', async () => {
    await start();
    gateway.prices.length = 0;
    gateway.prices.push(priceOf({ appliesFromMs: Date.now() + 60_000 }));
    const { status, error } = await refused();
    expect({ status, code: error.code }).toEqual({ status: 400, code: 'model_unpriced' });
    expectNothingDone();
  });

  test('with a limit above what it can produce', async () => {
    await start();
    const { status, error } = await refused({ ...CALL, max_tokens: 2049 });
    expect({ status, code: error.code, param: error.param }).toEqual({ status: 400, code: 'invalid_value', param: 'max_tokens' });
    expectNothingDone();
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { balanceId } from '../../../src/core/balance/balance-account.ts';
import { dueMicrocents } from '../../../src/core/pricing/currency.ts';
import { eventually, startGateway, TENANT, TENANT_MONEY, type Gateway } from '../../support/gateway-harness.ts';
import { startOpenAiServer, type OpenAiServer } from '../../support/openai-server.ts';

/** Holds 28 tokens of prompt and 100 of output: 64200 nano-dollars, 59064 nano-euros at 0.92. */
const CALL = { model: 'm1', max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] };
const EUR = 920_000_000;
const HOLD = 5907n;
const BALANCE = balanceId(TENANT, 'EUR');

let gateway: Gateway;
let upstream: OpenAiServer;

beforeEach(async () => {
  upstream = await startOpenAiServer();
  gateway = await startGateway({ upstreamUrls: [upstream.url] });
  gateway.exchangeRates.push({ id: 'rate_1', currency: 'EUR', perUsdNanos: EUR, appliesFromMs: 0, createdAtMs: 0 });
  gateway.setTenant({ hasBalance: true, requireBalance: true });
});
afterEach(async () => {
  // A test that failed may have left calls waiting.
  upstream.release();
  await gateway.close();
  await upstream.close();
});

const errorOf = async (answer: Response): Promise<{ code: string; message: string; account?: Record<string, unknown> }> =>
  ((await answer.json()) as { error: { code: string; message: string } }).error;

describe('a required balance', () => {
  test('402: empty, it refuses before anything is sent, and tells the account', async () => {
    gateway.allocate(BALANCE, HOLD - 1n);
    const answer = await gateway.post('/chat/completions', CALL);
    expect([answer.status, answer.headers.get('x-should-retry')]).toEqual([402, 'false']);
    expect(await errorOf(answer)).toMatchObject({
      code: 'balance_empty',
      account: {
        kind: 'balance',
        scope: `tenant:${TENANT}`,
        unit: 'EUR_MICROCENTS',
        limit: Number(HOLD - 1n),
        spent: 0,
        reserved: 0,
        remaining: Number(HOLD - 1n),
        resets_at: null,
      },
    });
    expect(upstream.received).toHaveLength(0);
    expect(gateway.flushes()).toBe(0);
  });

  test('that fits K calls admits exactly K of many while their answers are withheld, and loses the sum of what they took', async () => {
    const K = 5;
    gateway.allocate(BALANCE, HOLD * BigInt(K) + HOLD - 1n);
    upstream.behaviour.gated = true;
    const calls = Array.from({ length: 60 }, () => gateway.post('/chat/completions', CALL));
    let refused = 0;
    for (const call of calls) void call.then(({ status }) => (refused += status === 429 ? 1 : 0));
    await eventually(() => refused).toBe(60 - K);
    await eventually(() => upstream.waiting()).toBe(K);
    expect(gateway.account(BALANCE).reserved).toBe(HOLD * BigInt(K));
    upstream.release();
    const answers = await Promise.all(calls);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(K);
    await Promise.all(answers.map((answer) => answer.text()));
    const { usage } = gateway.ledger;
    const taken = usage.map(({ costNanoUsd, debit }) => {
      expect(debit).toEqual({ currency: 'EUR', perUsdNanos: EUR, microcents: dueMicrocents(costNanoUsd, EUR) });
      return debit?.microcents ?? 0n;
    });
    expect(taken).toHaveLength(K);
    expect(gateway.account(BALANCE)).toMatchObject({ reserved: 0n, spent: taken.reduce((sum, due) => sum + due, 0n) });
  });

  test('pays by the rate that applied when the call was held, whatever applies when it ends', async () => {
    gateway.allocate(BALANCE, HOLD);
    gateway.allocate(TENANT_MONEY, 1_000_000n);
    upstream.behaviour.gated = true;
    const call = gateway.post('/chat/completions', CALL);
    await eventually(() => upstream.waiting()).toBe(1);
    gateway.exchangeRates.push({ id: 'rate_2', currency: 'EUR', perUsdNanos: 9 * EUR, appliesFromMs: 1, createdAtMs: 1 });
    upstream.release();
    expect((await call).status).toBe(200);
    const [event] = gateway.ledger.usage;
    expect(event?.debit).toMatchObject({ perUsdNanos: EUR });
    expect(gateway.account(BALANCE).spent).toBe(event?.debit?.microcents);
    // Budgets in USD are charged USD beside it.
    expect(gateway.account(TENANT_MONEY).spent).toBe(event?.chargeMicrocents);
  });

  test('lowers an output limit that the caller left open to what it can pay', async () => {
    gateway.allocate(BALANCE, HOLD);
    const { max_tokens: _limit, ...open } = CALL;
    const answer = await gateway.post('/chat/completions', open);
    expect([answer.status, answer.headers.get('x-castellan-output-limit')]).toEqual([200, '100']);
  });

  test('429: a call that was planned by terms that have changed is told to try again', async () => {
    gateway.allocate(BALANCE, HOLD);
    gateway.allocate(balanceId(TENANT, 'SEK'), HOLD);
    // What the gateway read of the tenant is older than what the ledger knows.
    const stale = gateway.ledger.tenants.get(TENANT);
    const put = gateway.ledger.batch.bind(gateway.ledger);
    gateway.ledger.batch = (commands, nowMs) => {
      gateway.setTenant({ currency: 'SEK' });
      return put(commands, nowMs);
    };
    const answer = await gateway.post('/chat/completions', CALL);
    expect([answer.status, answer.headers.get('retry-after'), (await errorOf(answer)).code]).toEqual([429, '1', 'held']);
    expect(stale?.currency).toBeUndefined();
    expect(gateway.account(BALANCE)).toMatchObject({ reserved: 0n, spent: 0n });
  });
});

test('a balance that is not required refuses nothing: it goes below 0', async () => {
  gateway.setTenant({ requireBalance: false });
  gateway.allocate(BALANCE, 1n);
  expect((await gateway.post('/chat/completions', CALL)).status).toBe(200);
  const { spent, allocated } = gateway.account(BALANCE);
  expect(spent > (allocated ?? 0n)).toBe(true);
  expect((await gateway.post('/chat/completions', CALL)).status).toBe(200);
});

test('400: no rate applies to the currency, so nobody knows what the call would take', async () => {
  gateway.allocate(BALANCE, HOLD);
  gateway.exchangeRates.length = 0;
  const answer = await gateway.post('/chat/completions', CALL);
  expect([answer.status, await errorOf(answer)]).toEqual([
    400,
    expect.objectContaining({ code: 'model_unpriced', message: 'The model m1 has no price in EUR: no exchange rate applies.' }),
  ]);
});

test('a tenant that keeps none holds no more than before, and its events tell of none', async () => {
  gateway.setTenant({ hasBalance: false, requireBalance: false });
  expect((await gateway.post('/chat/completions', CALL)).status).toBe(200);
  const holds = gateway.commands.flatMap((command) => (command.verb === 'reserve' ? [command] : []));
  expect(holds.map(({ legs, context }) => [legs.length, JSON.stringify(context).includes('rate')])).toEqual([[4, false]]);
  expect(gateway.ledger.usage.map((event) => 'debit' in event)).toEqual([false]);
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { eventually, startGateway, TENANT, type Gateway } from '../../support/gateway-harness.ts';
import { letSpeak } from '../../support/messages-upstream.ts';
import { startOpenAiServer, type OpenAiServer } from '../../support/openai-server.ts';
import { ruleId, windowId, type BudgetRule } from '../../../src/core/windows/budget-rule.ts';

/** Holds 28 tokens of prompt and 100 of output: 64200 nano-dollars. */
const CALL = { model: 'm1', max_tokens: 100, messages: [{ role: 'user', content: 'hello there' }] };
const HOLD = 6420n;
/** A Sunday. */
const NOW = '2026-11-22T23:58:30Z';
const DAY = windowId(TENANT, 'project', '2026-11-22');

let gateway: Gateway;
let upstream: OpenAiServer;
let nowMs: number;

beforeEach(async () => {
  nowMs = Date.parse(NOW);
  upstream = await startOpenAiServer();
  gateway = await startGateway({ upstreamUrls: [upstream.url], wallMs: () => nowMs, storeMs: () => nowMs });
});
afterEach(async () => {
  // A test that failed may have left calls waiting.
  upstream.release();
  await gateway.close();
  await upstream.close();
});

const rule = (scope: BudgetRule['scope'], period: BudgetRule['period'], limit: bigint): BudgetRule => ({
  id: ruleId({ scope, target: null, period }),
  scope,
  target: null,
  period,
  limitMicrocents: `${limit}`,
  createdAtMs: 0,
  updatedAtMs: 0,
});

interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly account: Record<string, unknown>;
}

const refused = async (path = '/chat/completions'): Promise<{ told: unknown[]; error: Refusal }> => {
  const answer = await gateway.post(path, CALL, { 'anthropic-version': '2023-06-01' });
  const { error } = (await answer.json()) as { error: Refusal };
  return { told: [answer.status, answer.headers.get('retry-after'), answer.headers.get('x-should-retry')], error };
};

describe.each(['/chat/completions', '/messages'])('a window that is used up, at %s', (path) => {
  beforeEach(() => {
    if (path === '/messages') letSpeak(gateway, 'u1', ['openai', 'anthropic']);
  });

  test('429 until midnight: with the rule, the limit and the reset, before anything is sent', async () => {
    gateway.setTenant({ budgetRules: [rule('project', 'daily', 10n ** 10n), rule('each_key', 'weekly', HOLD - 1n)] });
    const { told, error } = await refused(path);
    expect(told).toEqual([429, '90', 'false']);
    expect(error.message).toContain('the weekly budget of key:k1 is used up: 0.00006419 of 0.00006419 USD left');
    expect(error).toMatchObject({
      code: 'window_exceeded',
      account: { rule: 'each_key:weekly', scope: 'key:k1', limit: Number(HOLD - 1n) },
    });
    expect(error.account['resets_at']).toBe('2026-11-23T00:00:00.000Z');
    expect(upstream.received).toHaveLength(0);
  });

  test('where amounts are hidden, the rule and the reset are told all the same', async () => {
    gateway.setTenant({ hideAmounts: true, budgetRules: [rule('each_user', 'monthly', HOLD - 1n)] });
    const { told, error } = await refused(path);
    expect(told).toEqual([429, `${8 * 86_400 + 90}`, 'false']);
    expect(error.message).not.toMatch(/\d/);
    expect(error.account).toEqual({
      kind: 'window',
      scope: 'user:ann',
      unit: 'USD_MICROCENTS',
      rule: 'each_user:monthly',
      resets_at: '2026-12-01T00:00:00.000Z',
    });
  });
});

test('a window that fits K of 1,000 calls admits K while answers are withheld; the calls in flight stay in the day they were held in', async () => {
  const K = 7;
  gateway.setTenant({ budgetRules: [rule('project', 'daily', HOLD * BigInt(K) + HOLD - 1n)] });
  upstream.behaviour.gated = true;
  const calls = Array.from({ length: 1000 }, () => gateway.post('/chat/completions', CALL));
  await eventually(() => gateway.calls.counters.refused).toBe(1000 - K);
  await eventually(() => upstream.waiting()).toBe(K);
  expect(gateway.account(DAY)).toMatchObject({ reserved: HOLD * BigInt(K), spent: 0n });

  nowMs = Date.parse('2026-11-23T00:00:01Z');
  const next = gateway.post('/chat/completions', CALL);
  await eventually(() => upstream.waiting()).toBe(K + 1);
  upstream.release();
  const answers = await Promise.all([...calls, next]);
  await Promise.all(answers.map((answer) => answer.text()));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(K + 1);
  await eventually(() => gateway.ledger.usage.length).toBe(K + 1);
  const charged = (from: string): bigint =>
    gateway.ledger.usage
      .filter(({ heldAtMs }) => new Date(heldAtMs).toISOString().startsWith(from))
      .reduce((sum, { chargeMicrocents }) => sum + BigInt(chargeMicrocents), 0n);
  expect(gateway.account(DAY)).toMatchObject({ reserved: 0n, spent: charged('2026-11-22') });
  const tomorrow = gateway.account(windowId(TENANT, 'project', '2026-11-23'));
  expect(tomorrow).toMatchObject({ reserved: 0n, spent: charged('2026-11-23') });
  expect(tomorrow.spent).toBeGreaterThan(0n);
});

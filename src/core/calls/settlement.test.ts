import { describe, expect, test } from 'vitest';
import type { CallContext } from './call-context.ts';
import { settlementOf } from './settlement.ts';

const context: CallContext = {
  keyId: 'k1',
  model: 'm1',
  route: '/chat/completions',
  streaming: true,
  promptTokens: 5,
  candidates: [
    { upstreamId: 'u1', price: { id: 'p1', rates: { inputNanos: 1n, outputNanos: 1n, cachedInputNanos: null, requestNanos: 0n } } },
    {
      upstreamId: 'u2',
      price: { id: 'p2', rates: { inputNanos: 1000n, outputNanos: 2000n, cachedInputNanos: 250n, requestNanos: 10_000_001n } },
    },
    { upstreamId: 'u3', price: null },
  ],
};
const call = { reservationId: 'call_1', tenantId: 'acme', context };
const usage = { promptTokens: 1000, completionTokens: 500, totalTokens: 1500, cachedPromptTokens: 400, reasoningTokens: 20 };
const nothing = { promptTokens: 0, completionTokens: 0, totalTokens: 0, cachedPromptTokens: null, reasoningTokens: null };
const result = { candidate: 1, usage, estimated: false, interrupted: false };

test('a call costs what its own upstream asks, exact in nano-dollars and charged in micro-cents, rounded up', () => {
  // 0.010000001 + 600 * 0.000001 + 400 * 0.00000025 + 500 * 0.000002 USD.
  expect(settlementOf(call, result)).toEqual({
    actuals: { tokens: 1500n, microcents: 1_170_001n },
    costNanoUsd: 11_700_001n,
    usage: {
      id: 'call_1',
      tenantId: 'acme',
      keyId: 'k1',
      model: 'm1',
      upstreamId: 'u2',
      priceId: 'p2',
      route: '/chat/completions',
      requests: 1,
      promptTokens: 1000,
      completionTokens: 500,
      cachedPromptTokens: 400,
      reasoningTokens: 20,
      costNanoUsd: 11_700_001n,
      chargeMicrocents: 1_170_001n,
      streaming: true,
      estimated: false,
      interrupted: false,
    },
  });
});

test('what was written into a cache is recorded and priced', () => {
  const rates = { inputNanos: 100n, outputNanos: 0n, cachedInputNanos: 10n, cacheWriteInputNanos: 125n, requestNanos: 0n };
  const priced = { ...call, context: { ...context, candidates: [{ upstreamId: 'u1', price: { id: 'p1', rates } }] } };
  const written = { ...result, candidate: 0, usage: { ...usage, cacheWritePromptTokens: 500 } };
  expect(settlementOf(priced, written)).toMatchObject({
    costNanoUsd: 100n * 100n + 400n * 10n + 500n * 125n,
    usage: { promptTokens: 1000, cachedPromptTokens: 400, cacheWritePromptTokens: 500 },
  });
});

test('a call that used nothing pays the fee for a request', () => {
  expect(settlementOf(call, { ...result, usage: nothing })).toMatchObject({
    actuals: { tokens: 0n, microcents: 1_000_001n },
    usage: { requests: 1 },
  });
});

test('without a price the cost is unknown and the charge nothing', () => {
  expect(settlementOf(call, { ...result, candidate: 2 })).toMatchObject({
    actuals: { tokens: 1500n, microcents: 0n },
    costNanoUsd: null,
    usage: { upstreamId: 'u3', priceId: '', costNanoUsd: 0n, chargeMicrocents: 0n },
  });
});

test('a candidate that does not exist counts as the first', () => {
  expect(settlementOf(call, { ...result, candidate: 9 }).usage).toMatchObject({ upstreamId: 'u1', priceId: 'p1' });
});

test('a call that another model answered is recorded under that one', () => {
  const candidates = context.candidates.map((candidate, index) => (index === 1 ? { ...candidate, model: 'm2' } : candidate));
  const settled = (candidate: number) =>
    settlementOf({ ...call, context: { ...context, candidates } }, { ...result, candidate }).usage.model;
  expect([settled(0), settled(1), settled(2)]).toEqual(['m1', 'm2', 'm1']);
});

describe('what a call takes from a prepaid balance', () => {
  const rate = { currency: 'EUR', perUsdNanos: 920_000_000 };

  test('is its exact cost by the rate that was pinned, rounded up once, and stands in its event', () => {
    const { actuals, usage: event } = settlementOf({ ...call, context: { ...context, rate } }, result);
    // 11700001 nano-dollars are 10764000.92 nano-euros.
    expect(actuals).toEqual({ tokens: 1500n, microcents: 1_170_001n, debit: { unit: 'EUR_MICROCENTS', amount: 1_076_401n } });
    expect(event.debit).toEqual({ ...rate, microcents: 1_076_401n });
  });

  test('is nothing where nothing was used, or the model had no price', () => {
    const priced = { ...call, context: { ...context, rate } };
    expect(settlementOf(priced, { ...result, candidate: 0, usage: nothing }).usage.debit).toEqual({ ...rate, microcents: 0n });
    expect(settlementOf(priced, { ...result, candidate: 2 }).usage.debit).toEqual({ ...rate, microcents: 0n });
  });

  test('is not told where the tenant keeps none', () => {
    const { actuals, usage: event } = settlementOf(call, result);
    expect([actuals, event].some((part) => 'debit' in part)).toBe(false);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { legAmount } from '../ledger/reserve.ts';
import { dueMicrocents, MAX_PER_USD, ONE_PER_USD } from '../pricing/currency.ts';
import { costNanoUsd, MAX_CALL_COST_NANO_USD, MAX_RATE_NANO_USD } from '../pricing/rates.ts';
import { callLegs, exceedsHold, limitPerChoice, outputRange } from './call-hold.ts';

const rates = { inputNanos: 150n, outputNanos: 600n, cachedInputNanos: 75n, requestNanos: 1001n };
const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);
const call = { tenantId: 'acme', scopes: ['tenant:acme'], keyId: 'k1', inputTokens: 28, rates };

describe('the accounts of a call', () => {
  test('are the cap, the money of the key, then the tenant in tokens and in money', () => {
    expect(callLegs(call).map(({ accountId, required }) => [accountId, required])).toEqual([
      ['acme|key_cap|key:k1|TOKENS|', true],
      ['acme|key_cap|key:k1|USD_MICROCENTS|', false],
      ['acme|budget|tenant:acme|TOKENS|', false],
      ['acme|budget|tenant:acme|USD_MICROCENTS|', false],
    ]);
  });

  test('hold the prompt and every token of output, money rounded up to the micro-cent', () => {
    const [tokens, money] = callLegs(call);
    expect(tokens && legAmount(tokens, 100n)).toBe(128n);
    // 1001 + 28 * 150 + 100 * 600 = 65201 nano-dollars.
    expect(money && legAmount(money, 100n)).toBe(6521n);
  });

  test('hold no money for a model without a price', () => {
    const [tokens, money] = callLegs({ ...call, rates: null });
    expect(tokens && legAmount(tokens, 100n)).toBe(128n);
    expect(money && legAmount(money, 100n)).toBe(0n);
  });

  test('count cached input that costs more than input at the dearer rate', () => {
    const [, money] = callLegs({ ...call, rates: { ...rates, cachedInputNanos: 300n } });
    expect(money?.base).toBe(1001n + 28n * 300n);
  });
});

describe('the leg on a prepaid balance', () => {
  const rate = { currency: 'EUR', perUsdNanos: 920_000_000 };

  test('comes last, and only where the tenant keeps one', () => {
    expect(callLegs({ ...call, rate }).map(({ accountId }) => accountId)).toEqual([
      ...callLegs(call).map(({ accountId }) => accountId),
      'acme|balance|tenant:acme|EUR_MICROCENTS|',
    ]);
  });

  test('holds the cost by the rate, rounded up once', () => {
    const leg = callLegs({ ...call, rate }).at(-1);
    // 65201 nano-dollars are 59984.92 nano-euros.
    expect(leg && legAmount(leg, 100n)).toBe(5999n);
    const unpriced = callLegs({ ...call, rates: null, rate }).at(-1);
    expect(unpriced && legAmount(unpriced, 100n)).toBe(0n);
  });

  test('holds at least what any use within the bound takes, at any price and rate, and no more than the bound itself takes', () => {
    const price = fc.bigInt({ min: 0n, max: MAX_RATE_NANO_USD });
    const count = fc.integer({ min: 0, max: 1_000_000 });
    fc.assert(
      fc.property(
        fc.record({ inputNanos: price, outputNanos: price, cachedInputNanos: fc.option(price), requestNanos: price }),
        fc.integer({ min: 1, max: MAX_PER_USD * ONE_PER_USD }),
        fc.tuple(count, count, count, count, count),
        (rates, perUsdNanos, [promptTokens, completionTokens, cachedPromptTokens, moreInput, moreOutput]) => {
          const inputTokens = promptTokens + moreInput;
          const leg = callLegs({ ...call, inputTokens, rates, rate: { currency: 'EUR', perUsdNanos } }).at(-1);
          const held = leg === undefined ? -1n : legAmount(leg, BigInt(completionTokens + moreOutput));
          const actual = costNanoUsd(rates, { promptTokens, completionTokens, cachedPromptTokens });
          expect(dueMicrocents(actual, perUsdNanos) <= held).toBe(true);
          const dear = { ...rates, cachedInputNanos: null, inputNanos: larger(rates.inputNanos, rates.cachedInputNanos ?? 0n) };
          const most = costNanoUsd(dear, {
            promptTokens: inputTokens,
            completionTokens: completionTokens + moreOutput,
            cachedPromptTokens: 0,
          });
          if (most < MAX_CALL_COST_NANO_USD) expect(held).toBe(dueMicrocents(most, perUsdNanos));
        },
      ),
    );
  });
});

describe('the output of a call', () => {
  test('is fixed where the caller set the limit, and open to below where we did', () => {
    expect(outputRange({ choices: 2, outputPerChoice: 100, minOutputPerChoice: 100 })).toEqual({ min: 200n, max: 200n });
    expect(outputRange({ choices: 2, outputPerChoice: 256, minOutputPerChoice: 16 })).toEqual({ min: 32n, max: 512n });
    expect(outputRange({ choices: 0, outputPerChoice: 0, minOutputPerChoice: 0 })).toEqual({ min: 0n, max: 0n });
  });

  test.each([
    [100n, 1, 100],
    [100n, 3, 33],
    [0n, 0, 0],
  ])('of %i over %i choices is %i each', (units, choices, expected) => {
    expect(limitPerChoice(units, choices)).toBe(expected);
  });
});

test('a call exceeds its hold by one token, or by one micro-cent', () => {
  const legs = callLegs(call);
  expect(exceedsHold(legs, 100n, { tokens: 128n, microcents: 6521n })).toBe(false);
  expect(exceedsHold(legs, 100n, { tokens: 129n, microcents: 0n })).toBe(true);
  expect(exceedsHold(legs, 100n, { tokens: 0n, microcents: 6522n })).toBe(true);
});

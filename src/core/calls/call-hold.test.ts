import { describe, expect, test } from 'vitest';
import { legAmount } from '../ledger/reserve.ts';
import { callLegs, exceedsHold, limitPerChoice, outputRange } from './call-hold.ts';

const rates = { inputNanos: 150n, outputNanos: 600n, cachedInputNanos: 75n, requestNanos: 1001n };
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

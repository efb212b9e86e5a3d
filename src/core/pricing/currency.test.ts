import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { INT64_MAX } from '../int64.ts';
import type { ExchangeRate } from '../records.ts';
import {
  displayedNanos,
  dueMicrocents,
  isCurrency,
  MAX_PER_USD,
  ONE_PER_USD,
  rateAt,
  readPerUsd,
  renderPerUsd,
  unitOfCurrency,
} from './currency.ts';
import { chargeMicrocents, MAX_CALL_COST_NANO_USD } from './rates.ts';

const MAX_NANOS = MAX_PER_USD * ONE_PER_USD;

test.each(['EUR', 'USD', 'SEK', 'INR', 'ZWG'])('%s is a currency, with micro-cents as its unit', (code) => {
  expect(isCurrency(code)).toBe(true);
  expect(unitOfCurrency(code)).toBe(`${code}_MICROCENTS`);
});

test.each(['eur', 'EU', '', 'EUR|', 'XXX', 'JPY', 'KWD', 'BTC', '__proto__'])('%j is none', (code) => expect(isCurrency(code)).toBe(false));

describe('declared rates', () => {
  test.each([
    [0.92, 920_000_000, '0.92'],
    ['0.92', 920_000_000, '0.92'],
    ['1', 1_000_000_000, '1'],
    ['0.000000001', 1, '0.000000001'],
    [1e-9, 1, '0.000000001'],
    ['1.0837', 1_083_700_000, '1.0837'],
    ['92000', MAX_NANOS, '92000'],
    ['0.920000000000', 920_000_000, '0.92'],
  ])('%j is %i nanos for a USD', (declared, perUsdNanos, rendered) => {
    expect(readPerUsd(declared)).toEqual({ ok: true, perUsdNanos });
    expect(renderPerUsd(perUsdNanos)).toBe(rendered);
  });

  test.each([
    [0, 'be a decimal number above 0, such as 0.92'],
    ['0.0', 'be a decimal number above 0, such as 0.92'],
    [-1, 'be a decimal number above 0, such as 0.92'],
    ['0,92', 'be a decimal number above 0, such as 0.92'],
    [Number.NaN, 'be a decimal number above 0, such as 0.92'],
    ['0.9200000001', 'have at most 9 decimals'],
    ['1e-10', 'have at most 9 decimals'],
    ['92000.000000001', 'be at most 92000'],
  ])('%j must %s', (declared, rule) => expect(readPerUsd(declared)).toEqual({ ok: false, rule }));

  test('are exact: what is read is what is shown', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_NANOS }), (perUsdNanos) => {
        expect(readPerUsd(renderPerUsd(perUsdNanos))).toEqual({ ok: true, perUsdNanos });
      }),
    );
  });
});

describe('the rate of a moment', () => {
  const rate = (id: string, appliesFromMs: number, more: Partial<ExchangeRate> = {}): ExchangeRate => ({
    id,
    currency: 'EUR',
    perUsdNanos: 5,
    appliesFromMs,
    createdAtMs: 1,
    ...more,
  });
  const rates = [
    rate('first', 10),
    rate('ahead', 100),
    rate('twice', 20),
    rate('once more', 20, { createdAtMs: 2 }),
    rate('crowns', 30, { currency: 'SEK' }),
  ];

  test.each([
    ['EUR', 9, undefined],
    ['EUR', 10, 'first'],
    ['EUR', 19, 'first'],
    ['EUR', 20, 'once more'],
    ['EUR', 99, 'once more'],
    ['EUR', 100, 'ahead'],
    ['SEK', 29, undefined],
    ['SEK', 30, 'crowns'],
  ])('of %s at %i is %s', (currency, nowMs, id) => expect(rateAt(rates, currency, nowMs)?.id).toBe(id));

  test('is the one declared later where two apply from the same moment of the same birth', () => {
    expect(rateAt([rate('b', 1), rate('c', 1), rate('a', 1)], 'EUR', 1)?.id).toBe('c');
  });

  test('of USD is 1, whatever is declared', () => {
    expect(rateAt([], 'USD', 0)).toEqual({ id: '', currency: 'USD', perUsdNanos: ONE_PER_USD });
  });
});

describe('what is due', () => {
  test.each([
    // A USD is 10^9 nano-USD and 10^8 micro-cents.
    [0n, 920_000_000, 0n],
    [1n, 920_000_000, 1n],
    [10n, 920_000_000, 1n],
    [11n, 920_000_000, 2n],
    [1_000_000_000n, 920_000_000, 92_000_000n],
    [1_000_000_001n, 920_000_000, 92_000_001n],
    [1n, 1, 1n],
    [10_000_000_000n, 1, 1n],
    [10_000_000_001n, 1, 2n],
    [MAX_CALL_COST_NANO_USD, MAX_NANOS, 9_200_000_000_000_000_000n],
  ])('%d nano-USD at %i nanos for a USD are %d micro-cents', (cost, perUsdNanos, due) =>
    expect(dueMicrocents(cost, perUsdNanos)).toBe(due),
  );

  test('fits into int64 for the dearest call at the largest rate', () => {
    expect(dueMicrocents(MAX_CALL_COST_NANO_USD, MAX_NANOS) <= INT64_MAX).toBe(true);
  });

  const cost = fc.bigInt({ min: 0n, max: MAX_CALL_COST_NANO_USD });
  const perUsd = fc.integer({ min: 1, max: MAX_NANOS });

  test('is never below the exact amount, and less than one micro-cent above it', () => {
    fc.assert(
      fc.property(cost, perUsd, (nanos, perUsdNanos) => {
        const exact = nanos * BigInt(perUsdNanos);
        const due = dueMicrocents(nanos, perUsdNanos) * 10n * BigInt(ONE_PER_USD);
        expect(due >= exact && due - exact < 10n * BigInt(ONE_PER_USD)).toBe(true);
      }),
    );
  });

  test('never falls as the cost rises, and is what budgets are charged where the currency is USD', () => {
    fc.assert(
      fc.property(cost, cost, perUsd, (a, b, perUsdNanos) => {
        const [less, more] = a < b ? [a, b] : [b, a];
        expect(dueMicrocents(less, perUsdNanos) <= dueMicrocents(more, perUsdNanos)).toBe(true);
        expect(dueMicrocents(a, ONE_PER_USD)).toBe(chargeMicrocents(a));
      }),
    );
  });
});

test.each([
  [1n, 500_000_000, 0n],
  [3n, 500_000_000, 2n],
  [5n, 500_000_000, 2n],
  [1n, 500_000_001, 1n],
  [1n, 499_999_999, 0n],
  [150n, 920_000_000, 138n],
])('%d nano-USD at %i are shown as %d nanos: halves go to the even one', (nanos, perUsdNanos, shown) =>
  expect(displayedNanos(nanos, perUsdNanos)).toBe(shown),
);

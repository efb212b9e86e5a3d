import { expect, test } from 'vitest';
import { microcentsFromUsd, renderPer1m, renderPerRequest, renderUsdMicrocents } from './usd.ts';

test.each([
  [0, 0n],
  [50, 5_000_000_000n],
  [0.1, 10_000_000n],
  ['12.50', 1_250_000_000n],
  [' 1 ', 100_000_000n],
  [1e-8, 1n],
  ['1e2', 10_000_000_000n],
  [123n, 12_300_000_000n],
  ['0.100000000000', 10_000_000n],
  ['92233720368.54775807', 9_223_372_036_854_775_807n],
])('%s USD are exactly %s micro-cents', (usd, microcents) => {
  expect(microcentsFromUsd(usd)).toEqual({ ok: true, microcents });
});

test.each([
  -1,
  '-1',
  'x',
  '',
  '1,5',
  Number.NaN,
  Number.POSITIVE_INFINITY,
  1e-9,
  '0.000000001',
  '0.0000000099999999',
  '92233720368.54775808',
  1e300,
  10n ** 40n,
  123_456_789.123_456_79,
])('%s USD is refused rather than rounded', (usd) => {
  expect(microcentsFromUsd(usd).ok).toBe(false);
});

test('amounts are written without exponent or trailing zeros', () => {
  expect([0n, 1n, 1_250_000_000n, 9_223_372_036_854_775_807n, -5n].map(renderUsdMicrocents)).toEqual([
    '0',
    '0.00000001',
    '12.5',
    '92233720368.54775807',
    '-0.00000005',
  ]);
  expect([renderPer1m(150), renderPer1m(1), renderPerRequest(1)]).toEqual(['0.15', '0.001', '0.000000001']);
});

import { expect, test } from 'vitest';
import { microcentsFromUsd, renderPer1m, renderPerRequest, renderUsdMicrocents } from './usd.ts';

test.each([
  [0, 0n],
  [50, 5_000_000_000n],
  [0.1, 10_000_000n],
  ['12.50', 1_250_000_000n],
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

test.each([' 5', '5 ', '\t5', '5\n'])('blanks around an amount are refused: %j', (usd) => {
  expect(microcentsFromUsd(usd)).toMatchObject({ ok: false });
});

test.each(['1e-60', `1.${'0'.repeat(50)}1`, '0.000000001'])('%s has more decimals than are kept', (usd) => {
  expect(microcentsFromUsd(usd)).toEqual({ ok: false, rule: 'have at most 8 decimals' });
});

test('a number that a double cannot hold is asked for as a string, whatever the double says', () => {
  const asNumber = Number('92233720368.54775807');
  expect(microcentsFromUsd(asNumber)).toEqual({ ok: false, rule: 'be written as a string where it has more than 15 digits' });
  expect(microcentsFromUsd('92233720368.54775807')).toEqual({ ok: true, microcents: 9_223_372_036_854_775_807n });
});

import { expect, test } from 'vitest';
import { displayedAmount } from './displayed-amount.ts';

test.each([
  [0n, 0],
  [123_456_000_000n, 1234.56],
  [499_999n, 0],
  [500_000n, 0],
  [500_001n, 0.01],
  [1_500_000n, 0.02],
  [2_500_000n, 0.02],
  [-1_500_000n, -0.02],
  [-2_499_999n, -0.02],
  [10_000_000_000_000_000n, 100_000_000],
])('%i micro-cents are shown as %d', (microcents, shown) => {
  expect(displayedAmount(microcents)).toBe(shown);
});

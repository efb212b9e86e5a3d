import { microcentsFromUsd, type UsdResult } from './usd.ts';

/** Whole units of any currency with micro-cents are written alike, so an amount is read as one of USD is. */
const NO_AMOUNT = 'be an amount such as 50, -50 or "12.50"';

/**
 * Micro-cents of an amount in whole units of its currency, which may be negative: a JSON number, or a decimal string where a double would
 * not hold it. Exact or refused, as words that complete "must ...": no number, more than 8 decimals, more than int64 holds either way, or
 * a number of more than 15 digits.
 */
export function microcentsFromAmount(amount: number | bigint | string): UsdResult {
  const isNegative = String(amount).startsWith('-');
  const size = typeof amount === 'string' ? amount.replace(/^-/, '') : amount < 0 ? -amount : amount;
  const read = microcentsFromUsd(size);
  if (read.ok) return { ok: true, microcents: isNegative ? -read.microcents : read.microcents };
  return { ok: false, rule: read.rule.startsWith('be an amount') ? NO_AMOUNT : read.rule };
}

import { INT64_MAX } from '../int64.ts';
import { renderDecimal, scaleDecimal } from './decimal.ts';

/** Decimals of a USD amount in micro-cents: 1 USD is 10^8 of them. */
const MICROCENT_DECIMALS = 8;

/** A double tells decimal numbers of up to this many digits apart; one with more may not be what its sender wrote. */
const EXACT_DIGITS = 15;

/** More decimals than any text that `scaleDecimal` takes can have: 60 written ones, and 999 by its exponent. */
const ALL_DECIMALS = 1100;

/** Micro-cents of a USD amount, or the rule that it breaks, as words that complete "must ...". */
export type UsdResult = { readonly ok: true; readonly microcents: bigint } | { readonly ok: false; readonly rule: string };

/**
 * USD_MICROCENTS of an amount in USD: a JSON number, or a decimal string where a double would not hold it. Exact or refused: negative,
 * more than 8 decimals, more than int64 holds, or a number of more than 15 digits.
 */
export function microcentsFromUsd(usd: number | bigint | string): UsdResult {
  const text = String(usd);
  const microcents = scaleDecimal(text, MICROCENT_DECIMALS);
  if (microcents === null) return { ok: false, rule: 'be an amount in USD that is at least 0, such as 50 or "12.50"' };
  // Asked first: such a number is not what its sender wrote, so nothing else that is said of it would be true.
  if (typeof usd === 'number' && text.replace(/[eE].*$/, '').replace(/[^0-9]/g, '').length > EXACT_DIGITS) {
    return { ok: false, rule: `be written as a string where it has more than ${EXACT_DIGITS} digits` };
  }
  if (microcents > INT64_MAX) return { ok: false, rule: `be at most ${renderUsdMicrocents(INT64_MAX)}` };
  const isWhole = scaleDecimal(text, MICROCENT_DECIMALS + ALL_DECIMALS) === microcents * 10n ** BigInt(ALL_DECIMALS);
  if (!isWhole) return { ok: false, rule: 'have at most 8 decimals' };
  return { ok: true, microcents };
}

/** Micro-cents as a decimal USD number without exponent or trailing zeros, such as `12.5`. */
export const renderUsdMicrocents = (microcents: bigint): string => renderDecimal(microcents, MICROCENT_DECIMALS);

/** Nano-dollars for one token as USD per million tokens, exact. */
export const renderPer1m = (nanos: number): string => renderDecimal(BigInt(nanos), 3);

/** Nano-dollars for one request as USD, exact. */
export const renderPerRequest = (nanos: number): string => renderDecimal(BigInt(nanos), 9);

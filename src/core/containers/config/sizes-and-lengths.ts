const SIZE = /^([0-9]{1,15})(\.[0-9]{1,6})? ?(?:b|([kmgt])(?:i?b)?)?$/i;
const DURATION = /^(?:[0-9]{1,9}(?:\.[0-9]{1,6})?(?:h|ms|m|s))+$/;
const DURATION_PART = /([0-9]+)(\.[0-9]+)?(h|ms|m|s)/g;

const UNIT_BYTES: Readonly<Record<string, number>> = { k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };
const UNIT_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** A decimal times a factor, where that is a whole number that a double holds exactly; else null. */
function wholeProduct(whole: string, fraction: string, factor: number): number | null {
  const digits = fraction.slice(1);
  const scaled = BigInt(whole + digits) * BigInt(factor);
  const scale = 10n ** BigInt(digits.length);
  if (scaled % scale !== 0n) return null;
  const product = Number(scaled / scale);
  return Number.isSafeInteger(product) ? product : null;
}

/**
 * A size as Docker Compose writes it, in bytes: a whole number of bytes (`1048576` as a number or a text), or a decimal number with a unit,
 * `b`, `k`, `m`, `g` or `t`, of 1024 each, in capitals or not, also as `kb` or `KiB`: `512m`, `1.5g`, `64 MB`. Null for anything else, and where it
 * comes to no whole number of bytes.
 */
export function parseSize(value: unknown): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : null;
  const match = typeof value === 'string' ? SIZE.exec(value) : null;
  if (match === null) return null;
  const [, whole = '', fraction = '', unit] = match;
  return wholeProduct(whole, fraction, unit === undefined ? 1 : (UNIT_BYTES[unit.toLowerCase()] ?? 1));
}

/**
 * A length of time as Docker Compose writes it, in milliseconds: numbers with the units `h`, `m`, `s` and `ms`, one after the other: `5s`, `1m30s`,
 * `1.5h`, `250ms`; and `0`. Null for anything else: numbers without a unit, units below a millisecond, signs, and what comes to no whole number of
 * milliseconds.
 */
export function parseDuration(value: unknown): number | null {
  if (value === 0 || value === '0') return 0;
  if (typeof value !== 'string' || value.length > 64 || !DURATION.test(value)) return null;
  let totalMs = 0;
  for (const [, whole = '', fraction = '', unit = ''] of value.matchAll(DURATION_PART)) {
    const partMs = wholeProduct(whole, fraction, UNIT_MS[unit] ?? 1);
    if (partMs === null) return null;
    totalMs += partMs;
  }
  return Number.isSafeInteger(totalMs) ? totalMs : null;
}

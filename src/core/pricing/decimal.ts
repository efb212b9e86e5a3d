/**
 * Decimal numbers as exact scaled integers, so that a price such as 0.15 never passes through binary arithmetic.
 */

const DECIMAL = /^(\d{1,30})(?:\.(\d{1,60}))?(?:[eE]([+-]?\d{1,3}))?$/;

/**
 * `value * 10^scale` as an integer, rounded half up; null when `value` is no decimal number that is at least 0.
 *
 * `value` is a JSON number (its shortest decimal form is what the operator wrote) or a decimal string such as `0.15` or `1.5e-7`.
 * Example: `scaleDecimal(0.15, 3)` is 150n.
 */
export function scaleDecimal(value: number | string, scale: number): bigint | null {
  const match = DECIMAL.exec(typeof value === 'number' ? String(value) : value);
  if (match === null) return null;
  const fraction = match[2] ?? '';
  const digits = BigInt((match[1] ?? '') + fraction);
  const shift = scale + Number(match[3] ?? 0) - fraction.length;
  if (shift >= 0) return digits * 10n ** BigInt(shift);
  const divisor = 10n ** BigInt(-shift);
  return (digits * 2n + divisor) / (divisor * 2n);
}

/**
 * An amount of 10^-`scale` parts as a decimal string: no exponent, no trailing zeros, no point when it is whole.
 *
 * Example: `renderDecimal(4125000n, 9)` is `0.004125`.
 */
export function renderDecimal(amount: bigint, scale: number): string {
  const sign = amount < 0n ? '-' : '';
  const digits = (amount < 0n ? -amount : amount).toString().padStart(scale + 1, '0');
  const whole = digits.slice(0, digits.length - scale);
  const fraction = digits.slice(digits.length - scale).replace(/0+$/, '');
  return fraction === '' ? sign + whole : `${sign}${whole}.${fraction}`;
}

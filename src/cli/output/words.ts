const SMALLEST_CENT_DIGITS = 2;
const SIGNIFICANT_DIGITS = 4;

const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+$)/g, ',');

/** A count with its thousands set apart. */
export const countText = (count: number | bigint): string => {
  const text = String(count);
  return text.startsWith('-') ? `-${grouped(text.slice(1))}` : grouped(text);
};

/** `digits` with `drop` of them taken off its end, rounded half up. */
function rounded(digits: string, drop: number): string {
  if (drop <= 0) return digits;
  const divisor = 10n ** BigInt(drop);
  return String((BigInt(digits) * 2n + divisor) / (divisor * 2n)).padStart(digits.length - drop, '0');
}

/**
 * An exact USD amount for people: two decimals, and of less than a cent its first four digits. `-` where there is none.
 *
 * What is shown is rounded; `-o json` has every digit.
 */
export function usdText(amount: string | null, ifNone = '-'): string {
  if (amount === null) return ifNone;
  const match = /^(-?)(\d+)(?:\.(\d+))?$/.exec(amount);
  if (match === null) return amount;
  const [, sign = '', whole = '0', fraction = ''] = match;
  const leading = /^0*/.exec(fraction)?.[0].length ?? 0;
  if (whole === '0' && fraction.length === leading) return '$0.00';
  const isTiny = whole === '0' && leading >= SMALLEST_CENT_DIGITS;
  const decimals = isTiny ? leading + SIGNIFICANT_DIGITS : SMALLEST_CENT_DIGITS;
  const padded = fraction.padEnd(decimals, '0');
  const digits = rounded(whole + padded, padded.length - decimals).padStart(decimals + 1, '0');
  const shownFraction = digits.slice(digits.length - decimals);
  return `${sign}$${grouped(digits.slice(0, digits.length - decimals))}.${isTiny ? shownFraction.replace(/0+$/, '') : shownFraction}`;
}

/** A moment of the API, RFC 3339, to the second in UTC. */
export const momentText = (moment: string | null, ifNone = '-'): string =>
  moment === null ? ifNone : moment.replace('T', ' ').replace(/(\.\d+)?Z$/, '');

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** A size in the unit that suits it. */
export function bytesText(bytes: number): string {
  let size = bytes;
  let unit = 0;
  while (size >= 1024 && unit < BYTE_UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${BYTE_UNITS[unit] ?? 'B'}`;
}

/** A count with its noun. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${countText(count)} ${count === 1 ? one : many}`;

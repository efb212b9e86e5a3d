import { renderUsdMicrocents } from '../../core/pricing/usd.ts';

const LEAST_DECIMALS = 2;

const decimalsOf = (microcents: bigint): number => renderUsdMicrocents(microcents).split('.')[1]?.length ?? 0;

/** How many decimals all of these amounts need to be exact, two at the least: amounts below each other have their points there too. */
export const decimalsFor = (amounts: readonly bigint[]): number => Math.max(LEAST_DECIMALS, ...amounts.map(decimalsOf));

const grouped = (digits: string): string => digits.replace(/\B(?=(?:\d{3})+$)/g, ',');

/** Micro-cents of a currency as people read them, exact: `1,234.50`. Negative ones have a true minus sign. */
export function amountText(microcents: bigint, decimals = LEAST_DECIMALS): string {
  const [whole = '0', fraction = ''] = renderUsdMicrocents(microcents < 0n ? -microcents : microcents).split('.');
  return `${microcents < 0n ? '\u2212' : ''}${grouped(whole)}.${fraction.padEnd(decimals, '0')}`;
}

/** A count as people read it: `1,234,567`. */
export const countText = (count: number): string => (count < 0 ? `\u2212${grouped(String(-count))}` : grouped(String(count)));

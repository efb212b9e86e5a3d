import { currencyOf, displayedNanos, PRICE_CURRENCY, rateAt } from '../pricing/currency.ts';
import type { ExchangeRate, Tenant } from '../records.ts';
import type { StatementLine } from './bill-records.ts';
import { monthRange, type Month } from './month.ts';

const DAY_MS = 86_400_000;

/** A part of a month, both ends at midnight, UTC. */
export interface MonthPart {
  readonly fromMs: number;
  readonly toMs: number;
}

/**
 * The parts of a month in each of which one rate of `currency` is shown: a day is shown by the rate that applied when it began. One part where the
 * rate did not change.
 */
export function partsByRate(month: Month, rates: readonly ExchangeRate[], currency: string): MonthPart[] {
  const { fromMs, toMs } = monthRange(month);
  const parts: MonthPart[] = [];
  let startMs = fromMs;
  for (let dayMs = fromMs + DAY_MS; dayMs <= toMs; dayMs += DAY_MS) {
    if (dayMs < toMs && perUsdAt(rates, currency, dayMs) === perUsdAt(rates, currency, startMs)) continue;
    parts.push({ fromMs: startMs, toMs: dayMs });
    startMs = dayMs;
  }
  return parts;
}

const perUsdAt = (rates: readonly ExchangeRate[], currency: string, atMs: number): number | null =>
  rateAt(rates, currency, atMs)?.perUsdNanos ?? null;

/** USD micro-cents as micro-cents of a currency, halves to the even one. */
export const convertedMicrocents = (microcents: bigint, perUsdNanos: number): bigint =>
  microcents < 0n ? -displayedNanos(-microcents, perUsdNanos) : displayedNanos(microcents, perUsdNanos);

/** The sum of lines in the currency of their rates, in micro-cents. To be asked only where each has one. */
const convertedTotal = (lines: readonly StatementLine[]): bigint =>
  lines.reduce((sum, line) => sum + convertedMicrocents(BigInt(line.chargeMicrocents), line.perUsdNanos ?? 0), 0n);

/**
 * Lines with the rates by which they are shown in the tenant's currency, and the total in it. A line of the statement's own month is shown by
 * the rate at the start of its part; one that was told late by that of the end of its month, a correction by that of the moment at which
 * it was made. Nothing is added where the currency is USD, or where a line has no rate.
 */
export function withRates(
  lines: readonly StatementLine[],
  { tenant, month, rates }: { readonly tenant: Tenant; readonly month: Month; readonly rates: readonly ExchangeRate[] },
): { readonly lines: readonly StatementLine[]; readonly converted?: { readonly currency: string; readonly totalMicrocents: string } } {
  const currency = currencyOf(tenant);
  if (currency === PRICE_CURRENCY) return { lines };
  const rated = lines.flatMap((line): StatementLine[] => {
    const perUsdNanos = perUsdAt(rates, currency, momentOf(line, month));
    return perUsdNanos === null ? [] : [{ ...line, perUsdNanos }];
  });
  if (rated.length < lines.length) return { lines };
  return { lines: rated, converted: { currency, totalMicrocents: convertedTotal(rated).toString() } };
}

function momentOf(line: StatementLine, month: Month): number {
  if (line.kind === 'correction') return line.atMs;
  if (line.month !== month) return monthRange(line.month).toMs - 1;
  return line.fromMs ?? monthRange(month).fromMs;
}

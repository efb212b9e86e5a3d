/**
 * The currencies that a tenant may be kept in, and what a US dollar is worth in them.
 *
 * Units: a rate is nano-units of the currency for one USD (10^9 stands for 1), an exact integer. Prices are in USD; an amount of a currency is
 * its micro-cents, 10^-8 of a unit, so only currencies of ISO 4217 with two decimals are known: for others a cent means nothing.
 *
 * Nothing here leaves int64: the cost of a call stops at a million USD (`MAX_CALL_COST_NANO_USD`), and a rate at {@link MAX_PER_USD}.
 */
import { ceilDiv } from '../int64.ts';
import type { Unit } from '../ledger/account.ts';
import type { ExchangeRate, Tenant } from '../records.ts';
import { renderDecimal, scaleDecimal } from './decimal.ts';
import { NANOS_PER_MICROCENT } from './rates.ts';

/** The currency of a tenant that has named no other. Source: architecture section 13. */
const DEFAULT_CURRENCY = 'EUR';

/** The currency that prices are declared in. Its rate is 1 and cannot be declared. */
export const PRICE_CURRENCY = 'USD';

/** Codes of ISO 4217 whose minor unit is a hundredth. */
const CURRENCIES: ReadonlySet<string> = new Set(
  (
    'AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK ' +
    'DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR ' +
    'LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR ' +
    'SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ' +
    'ZMW ZWG'
  ).split(' '),
);

const RATE_DECIMALS = 9;

/** The rate of USD: one for one. */
export const ONE_PER_USD = 1_000_000_000;

/** The largest rate, in whole units for a USD: the dearest call there can be, a million USD, still fits into int64 as micro-cents. */
export const MAX_PER_USD = 92_000;

/** More decimals than any text that `scaleDecimal` takes can have. */
const ALL_DECIMALS = 1100;

/** What a USD is worth at a moment: the declared rate with its id; `id` is empty for USD itself. */
export interface PinnedRate {
  readonly id: string;
  readonly currency: string;
  readonly perUsdNanos: number;
}

/** What a USD is worth in USD, at any moment. */
export const USD_RATE: PinnedRate = { id: '', currency: PRICE_CURRENCY, perUsdNanos: ONE_PER_USD };

/** A rate in nano-units for one USD, or the rule that a declaration breaks, as words that complete "must ...". */
export type PerUsdResult = { readonly ok: true; readonly perUsdNanos: number } | { readonly ok: false; readonly rule: string };

/** Whether `code` is a currency that accounts may be kept in: upper case, of ISO 4217, with two decimals. */
export const isCurrency = (code: string): boolean => CURRENCIES.has(code);

/** The rule that a code which is no {@link isCurrency} breaks, as words that complete "must ...". */
export const CURRENCY_RULE = 'be a code of ISO 4217 whose currency has two decimals, such as EUR';

/** The currency that a tenant's balance, bills and displayed prices are in. */
export const currencyOf = (tenant: Pick<Tenant, 'currency'> | undefined): string => tenant?.currency ?? DEFAULT_CURRENCY;

/** The unit of accounts in a currency: its micro-cents. */
export const unitOfCurrency = (currency: string): Unit => `${currency}_MICROCENTS`;

/** Reads what one USD is worth: a JSON number or a decimal text. Exact or refused: not above 0, above the largest, or of more than 9 decimals. */
export function readPerUsd(declared: number | string): PerUsdResult {
  const nanos = scaleDecimal(declared, RATE_DECIMALS);
  if (nanos === null) return { ok: false, rule: 'be a decimal number above 0, such as 0.92' };
  const isExact = scaleDecimal(declared, RATE_DECIMALS + ALL_DECIMALS) === nanos * 10n ** BigInt(ALL_DECIMALS);
  if (!isExact) return { ok: false, rule: `have at most ${RATE_DECIMALS} decimals` };
  if (nanos === 0n) return { ok: false, rule: 'be a decimal number above 0, such as 0.92' };
  if (nanos > BigInt(MAX_PER_USD) * BigInt(ONE_PER_USD)) return { ok: false, rule: `be at most ${MAX_PER_USD}` };
  return { ok: true, perUsdNanos: Number(nanos) };
}

/** A rate as the decimal that was declared, such as `0.92`. */
export const renderPerUsd = (perUsdNanos: number): string => renderDecimal(BigInt(perUsdNanos), RATE_DECIMALS);

/**
 * The rate of `currency` at `nowMs`: of those declared the one that applies from the latest moment, of two of one moment the one declared
 * later. USD is always worth itself. Null where none applies yet. Rates of other currencies in the list are passed over.
 */
export function rateAt(rates: readonly ExchangeRate[], currency: string, nowMs: number): PinnedRate | null {
  if (currency === PRICE_CURRENCY) return USD_RATE;
  let found: ExchangeRate | null = null;
  for (const rate of rates) {
    if (rate.currency === currency && rate.appliesFromMs <= nowMs && (found === null || isLater(rate, found))) found = rate;
  }
  return found === null ? null : { id: found.id, currency, perUsdNanos: found.perUsdNanos };
}

function isLater(a: ExchangeRate, b: ExchangeRate): boolean {
  if (a.appliesFromMs !== b.appliesFromMs) return a.appliesFromMs > b.appliesFromMs;
  return a.createdAtMs === b.createdAtMs ? a.id > b.id : a.createdAtMs > b.createdAtMs;
}

/** Micro-cents as whole units of their currency, exact: a decimal without exponent or trailing zeros, such as `12.5`. */
export const renderMicrocents = (microcents: bigint): string => renderDecimal(microcents, 8);

/** Micro-cents of a currency that are due for a cost in nano-USD: rounded up once, so that no call that costs anything is free. */
export const dueMicrocents = (costNanoUsd: bigint, perUsdNanos: number): bigint =>
  ceilDiv(costNanoUsd * BigInt(perUsdNanos), NANOS_PER_MICROCENT * BigInt(ONE_PER_USD));

/** Nano-units of a currency for nano-USD, for display: halves go to the even one. For amounts that are not negative. */
export function displayedNanos(nanoUsd: bigint, perUsdNanos: number): bigint {
  const one = BigInt(ONE_PER_USD);
  const product = nanoUsd * BigInt(perUsdNanos);
  const floor = product / one;
  const rest = (product % one) * 2n;
  const isUp = rest > one || (rest === one && floor % 2n === 1n);
  return isUp ? floor + 1n : floor;
}

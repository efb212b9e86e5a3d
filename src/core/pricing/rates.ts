/**
 * What a model costs, and what a call cost.
 *
 * Units: prices are declared in USD per million tokens; rates are nano-USD (10^-9 USD) per token; charges are microcents (10^-8 USD).
 * Source: Tinfoil reference section 5, "Price": token nanos = round(pricePer1M x 1000), request nanos = round(requestPrice x 10^9).
 *
 * Nothing here leaves int64. A rate is at most `MAX_RATE_NANO_USD` (checked where a price is declared), a count at most
 * `MAX_CALL_TOKENS` (clamped where usage is read), and the cost of one call stops at `MAX_CALL_COST_NANO_USD`. That stop keeps the order of
 * any two costs, so an actual that was below its hold stays below it, and it leaves room in int64 for thousands of absurd calls.
 */
import type { MediaUnit, MediaUse } from '../metering/media-use.ts';
import type { Price } from '../records.ts';
import { ceilDiv } from '../int64.ts';
import { renderDecimal, scaleDecimal } from './decimal.ts';

/**
 * Nano-USD per token of each kind, and per request. `cachedInputNanos` is null where cached tokens cost what input costs;
 * `cacheWriteInputNanos` is absent where tokens written into the upstream's cache do.
 */
export interface Rates {
  readonly inputNanos: bigint;
  readonly outputNanos: bigint;
  readonly cachedInputNanos: bigint | null;
  readonly cacheWriteInputNanos?: bigint;
  readonly requestNanos: bigint;
  /** For one second of audio that came in, one character that was spoken, one image that was made; absent where they cost nothing. */
  readonly secondNanos?: bigint;
  readonly characterNanos?: bigint;
  readonly imageNanos?: bigint;
}

/** A price as an operator declares it, in USD per million tokens (or characters) and USD per request, second and image; numbers or decimal strings. */
export interface DeclaredPrice {
  readonly inputPer1m: number | string;
  readonly outputPer1m: number | string;
  readonly cachedInputPer1m?: number | string | null;
  readonly cacheWriteInputPer1m?: number | string | null;
  readonly perRequest?: number | string | null;
  readonly perSecond?: number | string | null;
  readonly per1mCharacters?: number | string | null;
  readonly perImage?: number | string | null;
}

/**
 * The counts that a cost is made of. Tokens read from a cache and tokens written into one are parts of the prompt, not extra, and no token
 * is both; null or absent means that no such detail was reported.
 */
export interface PricedTokens {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedPromptTokens: number | null;
  readonly cacheWritePromptTokens?: number;
}

/** Rates, or which field of the declared price breaks which rule. */
export type RatesResult =
  | { readonly ok: true; readonly rates: Rates }
  | { readonly ok: false; readonly field: keyof DeclaredPrice; readonly message: string };

/** One USD per token: a million USD per million tokens. Dearer declarations are taken for mistakes. The same bounds the request fee. */
export const MAX_RATE_NANO_USD = 1_000_000_000n;

/** The largest cost of one call, one million USD. Costs above it are recorded as this. */
export const MAX_CALL_COST_NANO_USD = 1_000_000_000_000_000n;

/** How many nano-USD one USD_MICROCENTS is; the `divisor` of a money leg. */
export const NANOS_PER_MICROCENT = 10n;
const USD_DECIMALS = 9;

/** The prices of a token, in the order in which they are checked. */
const TOKEN_PRICES = ['inputPer1m', 'outputPer1m', 'cachedInputPer1m', 'cacheWriteInputPer1m'] as const;

/**
 * Rates from a declared price, each rounded half up to a whole nano-USD.
 *
 * Fails, naming the first wrong field, for a value that is negative, no decimal number, or above one USD per token (per request: one USD
 * times 1000), or that is not 0 and would become it: who asks for a price must not get calls for nothing.
 */
export function ratesFromPrice(price: DeclaredPrice): RatesResult {
  const perToken: Record<(typeof TOKEN_PRICES)[number], bigint | null> = {
    inputPer1m: null,
    outputPer1m: null,
    cachedInputPer1m: null,
    cacheWriteInputPer1m: null,
  };
  for (const field of TOKEN_PRICES) {
    const declared = price[field];
    if (declared === null || declared === undefined) continue;
    const nanos = scaleDecimal(declared, 3);
    if (nanos === null) return { ok: false, field, message: 'must be a decimal number that is at least 0' };
    if (nanos > MAX_RATE_NANO_USD) return { ok: false, field, message: 'must be at most 1000000' };
    if (nanos === 0n && !isZero(declared))
      return { ok: false, field, message: 'must be 0 or at least 0.0005: no smaller price can be kept' };
    perToken[field] = nanos;
  }
  const { inputPer1m, outputPer1m, cachedInputPer1m, cacheWriteInputPer1m } = perToken;
  if (inputPer1m === null) return { ok: false, field: 'inputPer1m', message: 'is required' };
  if (outputPer1m === null) return { ok: false, field: 'outputPer1m', message: 'is required' };
  const requestNanos = scaleDecimal(price.perRequest ?? 0, USD_DECIMALS);
  if (requestNanos === null) return { ok: false, field: 'perRequest', message: 'must be a decimal number that is at least 0' };
  if (requestNanos > MAX_RATE_NANO_USD * 1000n) return { ok: false, field: 'perRequest', message: 'must be at most 1000' };
  if (requestNanos === 0n && !isZero(price.perRequest ?? 0))
    return { ok: false, field: 'perRequest', message: 'must be 0 or at least 0.0000000005: no smaller fee can be kept' };
  const media = mediaRates(price);
  if (!media.ok) return media;
  const rates = {
    inputNanos: inputPer1m,
    outputNanos: outputPer1m,
    cachedInputNanos: cachedInputPer1m,
    ...(cacheWriteInputPer1m === null ? {} : { cacheWriteInputNanos: cacheWriteInputPer1m }),
    requestNanos,
    ...media.rates,
  };
  return { ok: true, rates };
}

/** How each unit of media is declared: its place in the rates, and how many decimals of its declared price are nano-USD of one unit. */
const MEDIA_PRICES = [
  { field: 'perSecond', rate: 'secondNanos', decimals: USD_DECIMALS, least: '0.0000000005', most: '1000' },
  { field: 'per1mCharacters', rate: 'characterNanos', decimals: 3, least: '0.0005', most: '1000000' },
  { field: 'perImage', rate: 'imageNanos', decimals: USD_DECIMALS, least: '0.0000000005', most: '1000' },
] as const;

/** The field of the rates that prices each unit of media. */
export const MEDIA_RATES = { seconds: 'secondNanos', characters: 'characterNanos', images: 'imageNanos' } as const satisfies Readonly<
  Record<MediaUnit, keyof Rates>
>;

/** What one unit of media costs, in nano-USD. */
export const mediaRate = (rates: Rates, unit: MediaUnit): bigint => atLeastZero(rates[MEDIA_RATES[unit]] ?? 0n);

type MediaRates = Pick<Rates, (typeof MEDIA_RATES)[MediaUnit]>;

/** Rates of media, those that are 0 left out. */
function mediaRates(price: DeclaredPrice): Exclude<RatesResult, { ok: true }> | { readonly ok: true; readonly rates: MediaRates } {
  const rates: { -readonly [F in keyof MediaRates]: bigint } = {};
  for (const { field, rate, decimals, least, most } of MEDIA_PRICES) {
    const declared = price[field] ?? 0;
    const nanos = scaleDecimal(declared, decimals);
    if (nanos === null) return { ok: false, field, message: 'must be a decimal number that is at least 0' };
    if (nanos > MAX_RATE_NANO_USD * (decimals === 3 ? 1n : 1000n)) return { ok: false, field, message: `must be at most ${most}` };
    if (nanos === 0n && !isZero(declared))
      return { ok: false, field, message: `must be 0 or at least ${least}: no smaller price can be kept` };
    if (nanos > 0n) rates[rate] = nanos;
  }
  return { ok: true, rates };
}

/** Whether a decimal number is 0: none of its digits before an exponent is another. */
const isZero = (declared: number | string): boolean => !/^[^eE]*[1-9]/.test(String(declared));

/**
 * The exact cost of a call, in nano-USD: request fee + uncached input + cached input + cache writes + output + what it used of a unit of media.
 *
 * Negative counts and rates count as 0, cached tokens as at most the prompt, cache writes as at most the rest of it. Never above `MAX_CALL_COST_NANO_USD`.
 * Source: Tinfoil reference section 5, "Price".
 */
export function costNanoUsd(rates: Rates, usage: PricedTokens, media: MediaUse | null = null): bigint {
  const prompt = count(usage.promptTokens);
  const cached = smaller(count(usage.cachedPromptTokens ?? 0), prompt);
  const written = smaller(count(usage.cacheWritePromptTokens ?? 0), prompt - cached);
  const input = atLeastZero(rates.inputNanos);
  const cost =
    atLeastZero(rates.requestNanos) +
    (prompt - cached - written) * input +
    cached * (rates.cachedInputNanos === null ? input : atLeastZero(rates.cachedInputNanos)) +
    written * (rates.cacheWriteInputNanos === undefined ? input : atLeastZero(rates.cacheWriteInputNanos)) +
    count(usage.completionTokens) * atLeastZero(rates.outputNanos) +
    (media === null ? 0n : count(media.quantity) * mediaRate(rates, media.unit));
  return smaller(cost, MAX_CALL_COST_NANO_USD);
}

/** What a price is made of, as it is stored. */
export type PriceFigures = Pick<
  Price,
  'inputNanos' | 'outputNanos' | 'cachedInputNanos' | 'cacheWriteInputNanos' | 'requestNanos' | (typeof MEDIA_RATES)[MediaUnit]
>;

/** The figures that a price is stored by; of cache writes only where declared, of media only where not 0. Rates are at most 10^12, which doubles hold. */
export function figuresOfRates(rates: Rates): PriceFigures {
  return {
    inputNanos: Number(rates.inputNanos),
    outputNanos: Number(rates.outputNanos),
    cachedInputNanos: rates.cachedInputNanos === null ? null : Number(rates.cachedInputNanos),
    ...(rates.cacheWriteInputNanos === undefined ? {} : { cacheWriteInputNanos: Number(rates.cacheWriteInputNanos) }),
    requestNanos: Number(rates.requestNanos),
    ...(rates.secondNanos === undefined ? {} : { secondNanos: Number(rates.secondNanos) }),
    ...(rates.characterNanos === undefined ? {} : { characterNanos: Number(rates.characterNanos) }),
    ...(rates.imageNanos === undefined ? {} : { imageNanos: Number(rates.imageNanos) }),
  };
}

/** The rates of a stored price. Stored prices were checked when they were declared. */
export function ratesOfPrice(price: PriceFigures): Rates {
  return {
    inputNanos: BigInt(price.inputNanos),
    outputNanos: BigInt(price.outputNanos),
    cachedInputNanos: price.cachedInputNanos === null ? null : BigInt(price.cachedInputNanos),
    ...(price.cacheWriteInputNanos === undefined ? {} : { cacheWriteInputNanos: BigInt(price.cacheWriteInputNanos) }),
    requestNanos: BigInt(price.requestNanos),
    ...(price.secondNanos === undefined ? {} : { secondNanos: BigInt(price.secondNanos) }),
    ...(price.characterNanos === undefined ? {} : { characterNanos: BigInt(price.characterNanos) }),
    ...(price.imageNanos === undefined ? {} : { imageNanos: BigInt(price.imageNanos) }),
  };
}

/**
 * What a call may cost at most, in nano-USD, as a linear rule: `base + perUnit * u` for `u` output tokens per choice.
 *
 * Every input token counts at the dearest of the three input rates, since nobody knows yet what the upstream reads from its cache and
 * what it writes there. For any usage of at most `inputTokens` and `choices * u` tokens and of at most `media`, `costNanoUsd` is at most
 * this. With divisor `NANOS_PER_MICROCENT` it is the money leg of a hold.
 */
export function holdNanoUsd(
  rates: Rates,
  bound: { readonly inputTokens: number; readonly choices: number; readonly media?: MediaUse | null },
): { readonly base: bigint; readonly perUnit: bigint } {
  const dearInput = larger(larger(rates.inputNanos, rates.cachedInputNanos ?? 0n), rates.cacheWriteInputNanos ?? 0n);
  const media = bound.media ?? null;
  return {
    base:
      atLeastZero(rates.requestNanos) +
      count(bound.inputTokens) * atLeastZero(dearInput) +
      (media === null ? 0n : count(media.quantity) * mediaRate(rates, media.unit)),
    perUnit: count(bound.choices) * atLeastZero(rates.outputNanos),
  };
}

/** What a cost charges to an account in USD_MICROCENTS (1 USD = 10^8): rounded up, so that no call that costs anything is free. */
export function chargeMicrocents(costNanos: bigint): bigint {
  return ceilDiv(atLeastZero(costNanos), NANOS_PER_MICROCENT);
}

/**
 * Rates that are nowhere below any of the given ones; what a hold is priced by while several upstreams may answer.
 * Null for an empty list: a call that nothing can answer has no price.
 */
export function dearest(rates: readonly Rates[]): Rates | null {
  const [first, ...others] = rates;
  if (first === undefined) return null;
  return others.reduce((dear, next) => {
    const bothCached = dear.cachedInputNanos === null && next.cachedInputNanos === null;
    const noneWritten = dear.cacheWriteInputNanos === undefined && next.cacheWriteInputNanos === undefined;
    const written = larger(dear.cacheWriteInputNanos ?? dear.inputNanos, next.cacheWriteInputNanos ?? next.inputNanos);
    return {
      inputNanos: larger(dear.inputNanos, next.inputNanos),
      outputNanos: larger(dear.outputNanos, next.outputNanos),
      // Where one has no cached price, cached tokens cost it its input price.
      cachedInputNanos: bothCached ? null : larger(dear.cachedInputNanos ?? dear.inputNanos, next.cachedInputNanos ?? next.inputNanos),
      ...(noneWritten ? {} : { cacheWriteInputNanos: written }),
      requestNanos: larger(dear.requestNanos, next.requestNanos),
      ...dearestMedia(dear, next),
    };
  }, first);
}

function dearestMedia(a: Rates, b: Rates): MediaRates {
  const rates: { -readonly [F in keyof MediaRates]: bigint } = {};
  for (const rate of Object.values(MEDIA_RATES)) {
    const nanos = larger(a[rate] ?? 0n, b[rate] ?? 0n);
    if (nanos > 0n) rates[rate] = nanos;
  }
  return rates;
}

/** Nano-USD as a decimal USD string without exponent or trailing zeros, such as `0.004125`; `0` for nothing. */
export function renderUsd(nanos: bigint): string {
  return renderDecimal(nanos, USD_DECIMALS);
}

/** Nano-USD as the JSON number nearest to it, in USD; exact to the nano up to 9 million USD. */
export function usdNumber(nanos: bigint): number {
  return Number(renderUsd(nanos));
}

function count(tokens: number): bigint {
  return tokens > 0 && Number.isFinite(tokens) ? BigInt(Math.trunc(tokens)) : 0n;
}

function atLeastZero(value: bigint): bigint {
  return value < 0n ? 0n : value;
}

function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}

function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}

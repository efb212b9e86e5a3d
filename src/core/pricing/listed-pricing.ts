import type { Price } from '../records.ts';
import { displayedNanos } from './currency.ts';
import { renderDecimal } from './decimal.ts';

/**
 * What a model costs at the least, in units of one currency: for a million tokens or characters, and for one second. A field that is not
 * there is not priced by itself at any upstream. Source: Cortecs reference, section 4.
 */
export interface ListedPricing {
  readonly input_token: number;
  readonly output_token: number;
  readonly cache_read_cost?: number;
  readonly cache_write_cost?: number;
  readonly audio_cost?: number;
  readonly speech_cost?: number;
}

const MILLION = 1_000_000;

/**
 * The least of each price over the upstreams of a model, each in the currency of which a USD is worth `perUsdNanos` nano-units, halves to
 * the even billionth. An upstream without a price for its cache asks the price of input there; one without a price for
 * a second or a character is none of those that the least is of.
 */
export function listedPricing(prices: readonly [Price, ...Price[]], perUsdNanos: number): ListedPricing {
  const money = (nanoUsd: bigint): number => Number(renderDecimal(displayedNanos(nanoUsd, perUsdNanos), 9));
  const least = (nanosOf: (price: Price) => number | undefined, units: number): number | undefined => {
    const known = prices.map(nanosOf).filter((nanos) => nanos !== undefined);
    return known.length === 0 ? undefined : money(BigInt(Math.min(...known)) * BigInt(units));
  };
  const hasRead = prices.some(({ cachedInputNanos }) => cachedInputNanos !== null);
  const hasWrite = prices.some(({ cacheWriteInputNanos }) => cacheWriteInputNanos !== undefined);
  const optional = {
    cache_read_cost: hasRead ? least(({ cachedInputNanos, inputNanos }) => cachedInputNanos ?? inputNanos, MILLION) : undefined,
    cache_write_cost: hasWrite ? least(({ cacheWriteInputNanos, inputNanos }) => cacheWriteInputNanos ?? inputNanos, MILLION) : undefined,
    audio_cost: least(({ secondNanos }) => secondNanos, 1),
    speech_cost: least(({ characterNanos }) => characterNanos, MILLION),
  };
  return {
    input_token: least(({ inputNanos }) => inputNanos, MILLION) ?? 0,
    output_token: least(({ outputNanos }) => outputNanos, MILLION) ?? 0,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
  };
}

import type { CallCandidate } from '../calls/call-context.ts';
import { headerSafe, type ReportedUsage } from '../metering/usage-header.ts';
import type { TokenUsage } from '../metering/token-usage.ts';
import { costNanoUsd } from '../pricing/rates.ts';

/** A way in which a sealed call may be priced: the names of the model that it stands for, none for the dearest of all of them. */
export interface SealedPrice extends Pick<CallCandidate, 'price'> {
  readonly names: readonly string[];
}

/**
 * What is booked for a sealed call. `candidate` is the place of its price; `mismatch` holds what the upstream says that it answered with (null:
 * nothing), where that does not agree with what the call said.
 */
export interface SealedSettlement {
  readonly candidate: number;
  readonly usage: TokenUsage;
  readonly estimated: boolean;
  readonly mismatch: { readonly reported: string | null } | null;
}

/**
 * Decides what a sealed call is charged by. The first of `prices` is the one that its hold was made by: of the model that the caller named
 * (`isNamed`), or of the dearest.
 *
 * No usage (null): all that was held, as an estimate. A model that the upstream does not name: the dearest there is, as a mismatch where the
 * caller named a cheaper one, since nothing says that its word was true. One that it names and that is among `prices`: its own price or, where
 * the caller named another one, the dearer of the two, as a mismatch. One that nobody knows: the dearest there is, as a mismatch. Of equal costs
 * the first counts.
 */
export function settleSealed(
  prices: readonly SealedPrice[],
  call: { readonly isNamed: boolean; readonly reported: ReportedUsage | null; readonly held: TokenUsage },
): SealedSettlement {
  const { isNamed, reported, held } = call;
  if (reported === null) return { candidate: 0, usage: held, estimated: true, mismatch: null };
  const { usage, model } = reported;
  const settled = { usage, estimated: false };
  const mismatch = { reported: model };
  if (model === null) {
    const candidate = isNamed ? dearestOf(prices, usage, [...prices.keys()]) : 0;
    return { ...settled, candidate, mismatch: candidate === 0 ? null : mismatch };
  }
  const found = prices.findIndex(({ names }) => names.some((name) => name === model || headerSafe(name) === model));
  if (found < 0) return { ...settled, candidate: dearestOf(prices, usage, [...prices.keys()]), mismatch };
  if (found === 0 || !isNamed) return { ...settled, candidate: found, mismatch: null };
  return { ...settled, candidate: dearestOf(prices, usage, [0, found]), mismatch };
}

function dearestOf(prices: readonly SealedPrice[], usage: TokenUsage, places: readonly number[]): number {
  const costAt = (place: number): bigint => {
    const price = prices[place]?.price ?? null;
    return price === null ? 0n : costNanoUsd(price.rates, usage);
  };
  return places.reduce((best, place) => (costAt(place) > costAt(best) ? place : best), places[0] ?? 0);
}

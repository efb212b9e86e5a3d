import { ratesOfPrice, type Rates } from '../pricing/rates.ts';
import type { Model, ModelUpstream, Price, Upstream } from '../records.ts';

/**
 * An upstream that may answer a call, what it calls the model, its share of the model's calls, and what it costs there. `weight` null: none
 * was declared. `price` null is a call without a price. `contextTokens` and `maxOutputTokens` are its own limits; absent where it has none.
 */
export interface RouteCandidate {
  readonly upstream: Upstream;
  readonly upstreamModel: string;
  readonly weight: number | null;
  readonly price: { readonly id: string; readonly rates: Rates } | null;
  readonly contextTokens?: number;
  readonly maxOutputTokens?: number;
}

/** Where a call may go, as the model declares it, or why it may go nowhere. The order of trial is `rankCandidates`'. */
export type Route =
  | { readonly kind: 'candidates'; readonly candidates: readonly RouteCandidate[] }
  | { readonly kind: 'unpriced' }
  | { readonly kind: 'no_upstream' };

/**
 * The price of a model at an upstream at `nowMs`: the upstream's own where it has one that applies, else the model's, the newest first.
 * Null where none applies yet. Prices of other models and upstreams in the list are passed over.
 */
export function priceAt(
  prices: readonly Price[],
  at: { readonly modelId: string; readonly upstreamId: string; readonly nowMs: number },
): Price | null {
  let own: Price | null = null;
  let shared: Price | null = null;
  for (const price of prices) {
    if (price.modelId !== at.modelId || price.appliesFromMs > at.nowMs) continue;
    if (price.upstreamId === at.upstreamId) own = newer(own, price);
    else if (price.upstreamId === null) shared = newer(shared, price);
  }
  return own ?? shared;
}

/** Of two prices for the same thing the one that applies later; of two that apply from the same moment the one declared later. */
function newer(a: Price | null, b: Price): Price {
  if (a === null) return b;
  if (a.appliesFromMs !== b.appliesFromMs) return a.appliesFromMs > b.appliesFromMs ? a : b;
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs > b.createdAtMs ? a : b;
  return a.id > b.id ? a : b;
}

/**
 * The prices of one model that apply from `fromMs` until before `untilMs`, by upstream; under null the one for upstreams without their own.
 */
export interface PriceTable {
  readonly modelId: string;
  readonly byUpstream: ReadonlyMap<string | null, { readonly id: string; readonly rates: Rates }>;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** The table of a model's prices at `nowMs`: what `priceAt` gives for every upstream, found in one pass. It holds until the next price begins. */
export function priceTableOf(prices: readonly Price[], at: { readonly modelId: string; readonly nowMs: number }): PriceTable {
  const newest = new Map<string | null, Price>();
  let untilMs = Infinity;
  for (const price of prices) {
    if (price.modelId !== at.modelId) continue;
    if (price.appliesFromMs > at.nowMs) untilMs = Math.min(untilMs, price.appliesFromMs);
    else newest.set(price.upstreamId, newer(newest.get(price.upstreamId) ?? null, price));
  }
  const byUpstream = new Map([...newest].map(([upstreamId, price]) => [upstreamId, { id: price.id, rates: ratesOfPrice(price) }]));
  return { modelId: at.modelId, byUpstream, fromMs: at.nowMs, untilMs };
}

/**
 * The upstreams of `model` in the order in which it declares them. Those that no longer exist are left out, and so are those without a
 * price unless `allowUnpriced`: a call is never priced 0 in silence. Source: architecture section 8, step 3.
 */
export function routeOf(options: {
  readonly model: Model;
  readonly upstreamOf: (id: string) => Upstream | undefined;
  readonly prices: Pick<PriceTable, 'byUpstream'>;
  readonly allowUnpriced: boolean;
}): Route {
  const { model } = options;
  const { byUpstream } = options.prices;
  const all: RouteCandidate[] = [];
  for (const declared of model.upstreams) {
    const upstream = options.upstreamOf(declared.id);
    if (upstream === undefined) continue;
    const candidate = {
      upstream,
      upstreamModel: declared.model,
      weight: declared.weight ?? null,
      price: byUpstream.get(upstream.id) ?? byUpstream.get(null) ?? null,
    };
    const own = ownLimits(declared);
    all.push(own === null ? candidate : { ...candidate, ...own });
  }
  if (all.length === 0) return { kind: 'no_upstream' };
  const candidates = options.allowUnpriced ? all : all.filter(({ price }) => price !== null);
  return candidates.length === 0 ? { kind: 'unpriced' } : { kind: 'candidates', candidates };
}

function ownLimits({ contextTokens, maxOutputTokens }: ModelUpstream): Pick<RouteCandidate, 'contextTokens' | 'maxOutputTokens'> | null {
  if (contextTokens === undefined && maxOutputTokens === undefined) return null;
  return {
    ...(contextTokens === undefined ? {} : { contextTokens }),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
  };
}

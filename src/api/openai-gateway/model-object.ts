import type { PinnedRate } from '../../core/pricing/currency.ts';
import { listedPricing } from '../../core/pricing/listed-pricing.ts';
import type { Model, Price, Upstream } from '../../core/records.ts';
import { priceAt } from '../../core/routing/candidates.ts';

/** Prices are kept in nano-dollars a token, which is thousandths of a dollar a million tokens. */
const perMillion = (nanos: number): number => nanos / 1000;

/** The tag of a model that gives vectors; whatever its letters' case. */
const EMBEDDING_TAG = 'embedding';

/** What a model is shown with: its prices and upstreams, the rate of the currency to tell prices in, and the moment. */
export interface ModelView {
  readonly prices: readonly Price[];
  readonly upstreamOf: (id: string) => Upstream | undefined;
  readonly rate: PinnedRate;
  readonly nowMs: number;
}

/**
 * A model in the list of models: OpenAI's fields, and beside them what bounds and prices a call of it.
 *
 * `type` is `embedding` for a model with that tag, else `chat`. `name` is the name that it is asked for by: under an alias, `alias_of` tells the model's own id. `pricing` is one object with the fields
 * of two surfaces: those in camel case are of the first upstream that has a price, in USD; those in snake case the least over all upstreams, in `currency`.
 * Prices of media and caches stand there only where there are any; the whole is left out for a model without a price. `providers` are the
 * slugs of its upstreams, each once. Source: Tinfoil reference 1.5, Cortecs reference section 4.
 */
export function modelObject(model: Model, view: ModelView, name: string = model.id): Readonly<Record<string, unknown>> {
  const upstreams = model.upstreams.flatMap(({ id }) => view.upstreamOf(id) ?? []);
  const providers = new Set(upstreams.map(({ provider }) => provider));
  const pricing = pricingOf(model, upstreams, view);
  return {
    id: name,
    object: 'model',
    created: Math.floor(model.createdAtMs / 1000),
    owned_by: 'castellan',
    type: model.tags.some((tag) => tag.toLowerCase() === EMBEDDING_TAG) ? 'embedding' : 'chat',
    multimodal: model.maxImageTokens !== null || model.maxAudioTokens !== null || model.maxFileTokens !== null,
    description: model.description ?? null,
    context_length: model.contextTokens,
    context_size: model.contextTokens,
    max_output_tokens: model.maxOutputTokens,
    providers: [...providers],
    tags: model.tags,
    ...(name === model.id ? {} : { alias_of: model.id }),
    ...(pricing === null ? {} : { pricing }),
  };
}

function pricingOf(model: Model, upstreams: readonly Upstream[], { prices, rate, nowMs }: ModelView): object | null {
  const priced = upstreams.flatMap(({ id }) => priceAt(prices, { modelId: model.id, upstreamId: id, nowMs }) ?? []);
  const [first] = priced;
  return first === undefined
    ? null
    : { ...usdPricing(first), ...listedPricing([first, ...priced], rate.perUsdNanos), currency: rate.currency };
}

const usdPricing = (price: Price): Readonly<Record<string, number>> => ({
  inputTokenPricePer1M: perMillion(price.inputNanos),
  outputTokenPricePer1M: perMillion(price.outputNanos),
  ...(price.cachedInputNanos === null ? {} : { cachedInputTokenPricePer1M: perMillion(price.cachedInputNanos) }),
  ...(price.cacheWriteInputNanos === undefined ? {} : { cacheWriteInputTokenPricePer1M: perMillion(price.cacheWriteInputNanos) }),
  requestPrice: price.requestNanos / 1_000_000_000,
  ...(price.secondNanos === undefined ? {} : { secondPrice: price.secondNanos / 1_000_000_000 }),
  ...(price.characterNanos === undefined ? {} : { characterPricePer1M: perMillion(price.characterNanos) }),
  ...(price.imageNanos === undefined ? {} : { imagePrice: price.imageNanos / 1_000_000_000 }),
});

import type { Model, Price } from '../../core/records.ts';
import { priceAt } from '../../core/routing/candidates.ts';

/** Prices are kept in nano-dollars a token, which is thousandths of a dollar a million tokens. */
const perMillion = (nanos: number): number => nanos / 1000;

/**
 * A model in the list of models: OpenAI's fields, and beside them what bounds and prices a call of it.
 *
 * `name` is the name that it is asked for by: under an alias, `alias_of` tells the model's own id. `pricing` is that of the first upstream, in USD,
 * prices of media only where there are any; it is left out for a model without a price. Source: Tinfoil reference 1.5.
 */
export function modelObject(
  model: Model,
  options: { readonly prices: readonly Price[]; readonly nowMs: number; readonly name?: string },
): Readonly<Record<string, unknown>> {
  const { nowMs, name = model.id } = options;
  const price = priceAt(options.prices, { modelId: model.id, upstreamId: model.upstreams[0]?.id ?? '', nowMs });
  return {
    id: name,
    object: 'model',
    created: Math.floor(model.createdAtMs / 1000),
    owned_by: 'castellan',
    type: model.maxOutputTokens > 0 ? 'chat' : 'embedding',
    multimodal: model.maxImageTokens !== null || model.maxAudioTokens !== null || model.maxFileTokens !== null,
    context_length: model.contextTokens,
    max_output_tokens: model.maxOutputTokens,
    tags: model.tags,
    ...(name === model.id ? {} : { alias_of: model.id }),
    ...(price === null ? {} : { pricing: pricing(price) }),
  };
}

const pricing = (price: Price): Readonly<Record<string, number>> => ({
  inputTokenPricePer1M: perMillion(price.inputNanos),
  outputTokenPricePer1M: perMillion(price.outputNanos),
  ...(price.cachedInputNanos === null ? {} : { cachedInputTokenPricePer1M: perMillion(price.cachedInputNanos) }),
  ...(price.cacheWriteInputNanos === undefined ? {} : { cacheWriteInputTokenPricePer1M: perMillion(price.cacheWriteInputNanos) }),
  requestPrice: price.requestNanos / 1_000_000_000,
  ...(price.secondNanos === undefined ? {} : { secondPrice: price.secondNanos / 1_000_000_000 }),
  ...(price.characterNanos === undefined ? {} : { characterPricePer1M: perMillion(price.characterNanos) }),
  ...(price.imageNanos === undefined ? {} : { imagePrice: price.imageNanos / 1_000_000_000 }),
});

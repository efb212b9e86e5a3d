import { MAX_RATE_NANO_USD } from '../pricing/rates.ts';
import type { Price } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import type { AddPriceCommand } from './commands.ts';
import { checkWhole, firstOf, invalid, type Refusal } from './rules.ts';

/** A moment later than this is a slip of the pen, and would not survive RFC 3339. */
const MAX_MOMENT_MS = Date.UTC(9999, 11, 31);

function refusePrice(state: State, { price }: AddPriceCommand, nowMs: number): Refusal | null {
  const model = state.record('model', price.modelId);
  if (model === undefined) return invalid('model_id', `name a model that exists; there is no ${price.modelId}`);
  if (price.upstreamId !== null && !model.upstreams.some(({ id }) => id === price.upstreamId)) {
    return invalid('upstream_id', `name an upstream of the model; ${price.upstreamId} is none`);
  }
  const perToken = { min: 0, max: Number(MAX_RATE_NANO_USD) };
  const bad = firstOf(
    checkWhole('input_per_1m', price.inputNanos, perToken),
    checkWhole('output_per_1m', price.outputNanos, perToken),
    checkWhole('cached_input_per_1m', price.cachedInputNanos ?? 0, perToken),
    checkWhole('cache_write_input_per_1m', price.cacheWriteInputNanos ?? 0, perToken),
    checkWhole('per_request', price.requestNanos, { min: 0, max: perToken.max * 1000 }),
    checkWhole('per_second', price.secondNanos ?? 0, { min: 0, max: perToken.max * 1000 }),
    checkWhole('per_1m_characters', price.characterNanos ?? 0, perToken),
    checkWhole('per_image', price.imageNanos ?? 0, { min: 0, max: perToken.max * 1000 }),
  );
  if (bad !== null) return bad;
  const { appliesFromMs } = price;
  if (appliesFromMs !== null && (appliesFromMs < nowMs || appliesFromMs > MAX_MOMENT_MS))
    return invalid('applies_from', 'not lie in the past');
  if (state.record('price', price.id) !== undefined)
    return rejected({ code: 'conflict', message: `the price ${price.id} exists already`, field: 'id' });
  return null;
}

/**
 * Adds a price from a moment on; prices are never changed, because calls are settled by the one that they were held with. The value is
 * the price.
 *
 * Rejects, in this order: `invalid_request` (model_id, upstream_id, the amounts, applies_from in the past), `conflict`.
 */
export const addPriceVerb: Verb<AddPriceCommand, Price> = {
  needs: ({ price }) => ({
    tenantLock: 'exclusive',
    records: [
      { kind: 'price', id: price.id },
      { kind: 'model', id: price.modelId },
    ],
  }),
  decide: (state, command, nowMs) => {
    const refusal = refusePrice(state, command, nowMs);
    if (refusal !== null) return refuse(refusal);
    const price: Price = { ...command.price, appliesFromMs: command.price.appliesFromMs ?? nowMs, createdAtMs: nowMs };
    const data = { price_id: price.id, model_id: price.modelId, upstream_id: price.upstreamId };
    const events = eventEffects(command, nowMs, [{ type: 'price.created', data }]);
    return { outcome: accepted(price), effects: [{ type: 'record', kind: 'price', id: price.id, record: price }, ...events] };
  },
};

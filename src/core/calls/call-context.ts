import type { PlainJson } from '../json/plain-json.ts';
import type { MediaUse } from '../metering/media-use.ts';
import type { PinnedRate } from '../pricing/currency.ts';
import type { Rates } from '../pricing/rates.ts';

/**
 * An upstream that a call may have gone to, with the price pinned when the call was held. `price` null: the model had none. `model`: the
 * one that it answers for, where that is another than the call asked for.
 */
export interface CallCandidate {
  readonly upstreamId: string;
  readonly model?: string;
  readonly price: { readonly id: string; readonly rates: Rates } | null;
}

/**
 * What a call's reservation remembers of it, so that anybody can settle it: whose it is, what was asked, and what it costs wherever it
 * went. `promptTokens` is the count without margin, for an estimate. `route` is the path below the gateway's root.
 */
export interface CallContext {
  readonly keyId: string;
  readonly model: string;
  readonly route: string;
  readonly streaming: boolean;
  readonly promptTokens: number;
  readonly candidates: readonly CallCandidate[];
  /** What the call uses beside tokens, for an estimate. */
  readonly media?: MediaUse;
  /** The output tokens that it counts as where no checkpoint tells of any: those of a call that cannot be read. Absent: none. */
  readonly unseenOutput?: number;
  /** The deepest scope of its subject; absent where that is its tenant's. */
  readonly scopePath?: string;
  /** By what it takes from its tenant's balance, and in which currency; absent where the tenant kept none. */
  readonly rate?: CallRate;
}

/** An exchange rate as a call remembers it. */
export type CallRate = Pick<PinnedRate, 'currency' | 'perUsdNanos'>;

/** How far a call in flight has come: the place of its upstream among the candidates, and the output tokens seen so far. */
export interface CallCheckpoint {
  readonly candidate: number;
  readonly outputTokens: number;
}

/** The context as a reservation keeps it. Rates are safe integers (at most 10^12), so plain numbers hold them. */
export const writeCallContext = (context: CallContext): PlainJson => ({
  key: context.keyId,
  model: context.model,
  route: context.route,
  stream: context.streaming,
  prompt: context.promptTokens,
  upstreams: context.candidates.map(({ upstreamId, price }) =>
    price === null ? [upstreamId] : [upstreamId, price.id, ...writeRates(price.rates)],
  ),
  ...(context.candidates.some(({ model }) => model !== undefined) ? { models: context.candidates.map(({ model = null }) => model) } : {}),
  ...(context.media === undefined ? {} : { media: [context.media.unit, context.media.quantity] }),
  ...(context.scopePath === undefined ? {} : { scope: context.scopePath }),
  ...(context.rate === undefined ? {} : { rate: [context.rate.currency, context.rate.perUsdNanos] }),
  ...(context.unseenOutput === undefined ? {} : { unseen: context.unseenOutput }),
});

const writeRates = (rates: Rates): PlainJson[] => [
  Number(rates.inputNanos),
  Number(rates.outputNanos),
  rates.cachedInputNanos === null ? null : Number(rates.cachedInputNanos),
  Number(rates.requestNanos),
  ...writeLaterRates(rates),
];

/** Rates that few prices have: of cache writes, then of media. Left out where there are none, or nearly every call would carry them. */
function writeLaterRates(rates: Rates): PlainJson[] {
  const { cacheWriteInputNanos: write, secondNanos: second, characterNanos: character, imageNanos: image } = rates;
  const cacheWrite = write === undefined ? null : Number(write);
  if (second !== undefined || character !== undefined || image !== undefined)
    return [cacheWrite, Number(second ?? 0n), Number(character ?? 0n), Number(image ?? 0n)];
  return cacheWrite === null ? [] : [cacheWrite];
}

/** Reads what {@link writeCallContext} wrote; null where the value is nothing of the kind. */
export function readCallContext(value: PlainJson): CallContext | null {
  const fields = asObject(value);
  if (fields === null) return null;
  const { key, model, route, stream, prompt, upstreams } = fields;
  if (typeof key !== 'string' || typeof model !== 'string' || typeof route !== 'string' || !Array.isArray(upstreams)) return null;
  const models = Array.isArray(fields['models']) ? (fields['models'] as readonly PlainJson[]) : [];
  const candidates = (upstreams as readonly PlainJson[]).flatMap((value, index) => {
    const other = models[index];
    return readCandidate(value).map((candidate) => (typeof other === 'string' ? { ...candidate, model: other } : candidate));
  });
  if (candidates.length === 0) return null;
  const media = readMedia(fields['media']);
  const { scope } = fields;
  const path = typeof scope === 'string' ? { scopePath: scope } : {};
  const rate = readRate(fields['rate']);
  const unseen = count(fields['unseen']) === 0 ? {} : { unseenOutput: count(fields['unseen']) };
  return {
    keyId: key,
    model,
    route,
    streaming: stream === true,
    promptTokens: count(prompt),
    candidates,
    ...media,
    ...path,
    ...rate,
    ...unseen,
  };
}

function readCandidate(value: PlainJson): CallCandidate[] {
  if (!Array.isArray(value)) return [];
  const [upstreamId, priceId, input, output, cached, request, cacheWrite, ...media] = value as readonly PlainJson[];
  if (typeof upstreamId !== 'string') return [];
  if (typeof priceId !== 'string') return [{ upstreamId, price: null }];
  const rates = {
    inputNanos: nanos(input),
    outputNanos: nanos(output),
    cachedInputNanos: typeof cached === 'number' ? nanos(cached) : null,
    ...(typeof cacheWrite === 'number' ? { cacheWriteInputNanos: nanos(cacheWrite) } : {}),
    requestNanos: nanos(request),
    ...readMediaRates(media),
  };
  return [{ upstreamId, price: { id: priceId, rates } }];
}

/** Rates of media; a context of an earlier version has none. */
function readMediaRates([second, character, image]: readonly PlainJson[]): Pick<Rates, 'secondNanos' | 'characterNanos' | 'imageNanos'> {
  return {
    ...(count(second) === 0 ? {} : { secondNanos: nanos(second) }),
    ...(count(character) === 0 ? {} : { characterNanos: nanos(character) }),
    ...(count(image) === 0 ? {} : { imageNanos: nanos(image) }),
  };
}

/** A context of an earlier version has none. */
function readRate(value: PlainJson | undefined): { readonly rate?: CallRate } {
  if (!Array.isArray(value)) return {};
  const [currency, perUsdNanos] = value as readonly PlainJson[];
  return typeof currency === 'string' ? { rate: { currency, perUsdNanos: count(perUsdNanos) } } : {};
}

function readMedia(value: PlainJson | undefined): { readonly media?: MediaUse } {
  if (!Array.isArray(value)) return {};
  const [unit, quantity] = value as readonly PlainJson[];
  if (unit !== 'seconds' && unit !== 'characters' && unit !== 'images') return {};
  return { media: { unit, quantity: count(quantity) } };
}

/** The checkpoint as a reservation keeps it. */
export const writeCheckpoint = (checkpoint: CallCheckpoint): PlainJson => ({
  upstream: checkpoint.candidate,
  output: checkpoint.outputTokens,
});

/** Reads what {@link writeCheckpoint} wrote. A call without a checkpoint has shown nothing yet, and is taken to have gone to its first upstream. */
export function readCheckpoint(value: PlainJson): CallCheckpoint {
  const fields = asObject(value);
  return { candidate: count(fields?.['upstream']), outputTokens: count(fields?.['output']) };
}

const asObject = (value: PlainJson): { readonly [name: string]: PlainJson } | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as { readonly [name: string]: PlainJson }) : null;

const count = (value: PlainJson | undefined): number => (typeof value === 'number' && Number.isSafeInteger(value) && value > 0 ? value : 0);

const nanos = (value: PlainJson | undefined): bigint => BigInt(count(value));

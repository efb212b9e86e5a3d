import { rateAt, type PinnedRate } from '../../core/pricing/currency.ts';
import type { ExchangeRate, Model, Price, Upstream } from '../../core/records.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/** An upstream at one of the addresses that it takes sealed calls for, with the models that it serves there. */
export interface SealedService {
  readonly enclaveUrl: string;
  readonly upstream: Upstream;
  readonly models: readonly Model[];
}

/** Upstreams, models, prices and exchange rates as they were when they were last read. */
export interface Catalogue {
  /** The model of that id, else the one with that alias. */
  model(name: string): Model | undefined;
  /** All models, ordered by id. */
  models(): readonly Model[];
  upstream(id: string): Upstream | undefined;
  /** The upstreams that take sealed calls for an address and serve a model at least, ordered by id. The address as `enclaveUrlOf` gives it. */
  sealed(enclaveUrl: string): readonly SealedService[];
  /** All upstreams that take sealed calls, ordered by id. */
  sealedUpstreams(): readonly Upstream[];
  /** All prices of a model, those of single upstreams and those that do not apply yet among them. */
  prices(modelId: string): readonly Price[];
  /** What a USD is worth in a currency at `nowMs`; null where no rate applies. */
  rate(currency: string, nowMs: number): PinnedRate | null;
}

/** A catalogue with what keeps it up to date. */
export interface LoadedCatalogue extends Catalogue {
  /** Whether nothing changed since it was read. */
  isFresh(): boolean;
  /** Says that something changed. */
  invalidate(): void;
  /** Reads it anew; callers at the same moment share one read. Keeps the old one and throws where the store cannot be read. */
  load(): Promise<void>;
}

interface Snapshot {
  readonly models: readonly Model[];
  readonly modelByName: ReadonlyMap<string, Model>;
  readonly upstreamById: ReadonlyMap<string, Upstream>;
  readonly sealedUpstreams: readonly Upstream[];
  readonly sealedByUrl: ReadonlyMap<string, readonly SealedService[]>;
  readonly pricesByModel: ReadonlyMap<string, readonly Price[]>;
  readonly ratesByCurrency: ReadonlyMap<string, readonly ExchangeRate[]>;
}

const EMPTY: Snapshot = {
  models: [],
  modelByName: new Map(),
  upstreamById: new Map(),
  sealedUpstreams: [],
  sealedByUrl: new Map(),
  pricesByModel: new Map(),
  ratesByCurrency: new Map(),
};

const byId = <T extends { readonly id: string }>(records: readonly T[]): Map<string, T> =>
  new Map(records.map((record) => [record.id, record]));

/** Models by alias and by id; ids win, should both be the same. */
const byName = (models: readonly Model[]): Map<string, Model> =>
  new Map([...models.flatMap((model) => (model.aliases ?? []).map((alias) => [alias, model] as const)), ...byId(models)]);

/** Whether an upstream takes sealed calls, and no others. */
const isSealed = ({ sealed = null }: Upstream): boolean => sealed !== null;

/** An upstream at each of its enclave addresses; none where no model is served there. */
export function servicesOf(upstream: Upstream, models: readonly Model[]): SealedService[] {
  const served = models.filter(({ upstreams }) => upstreams.some(({ id }) => id === upstream.id));
  return served.length === 0 ? [] : (upstream.sealed?.enclaveUrls ?? []).map((enclaveUrl) => ({ enclaveUrl, upstream, models: served }));
}

/** Makes an empty catalogue that is not fresh. It is small and read as a whole, so that a call never waits for a part of it. */
export function makeCatalogue(records: Pick<RecordStore, 'records'>): LoadedCatalogue {
  let snapshot = EMPTY;
  let changes = 1;
  let loadedAt = 0;
  let loading: { readonly changes: number; readonly done: Promise<void> } | null = null;

  async function read(): Promise<Snapshot> {
    const [upstreams, models, prices, rates] = await Promise.all([
      records.records('upstream'),
      records.records('model'),
      records.records('price'),
      records.records('exchange-rate'),
    ]);
    return {
      models,
      modelByName: byName(models),
      upstreamById: byId(upstreams),
      sealedUpstreams: upstreams.filter(isSealed),
      sealedByUrl: Map.groupBy(
        upstreams.flatMap((upstream) => servicesOf(upstream, models)),
        ({ enclaveUrl }) => enclaveUrl,
      ),
      pricesByModel: Map.groupBy(prices, ({ modelId }) => modelId),
      ratesByCurrency: Map.groupBy(rates, ({ currency }) => currency),
    };
  }

  async function load(): Promise<void> {
    // A read that began before the last change may not show it, so it is not joined.
    if (loading?.changes === changes) return loading.done;
    const startedAt = changes;
    const done = (async () => {
      try {
        const next = await read();
        if (startedAt <= loadedAt) return;
        snapshot = next;
        loadedAt = startedAt;
      } finally {
        if (loading?.changes === startedAt) loading = null;
      }
    })();
    loading = { changes: startedAt, done };
    return done;
  }

  return {
    model: (name) => snapshot.modelByName.get(name),
    models: () => snapshot.models,
    upstream: (id) => snapshot.upstreamById.get(id),
    sealed: (enclaveUrl) => snapshot.sealedByUrl.get(enclaveUrl) ?? [],
    sealedUpstreams: () => snapshot.sealedUpstreams,
    prices: (modelId) => snapshot.pricesByModel.get(modelId) ?? [],
    rate: (currency, nowMs) => rateAt(snapshot.ratesByCurrency.get(currency) ?? [], currency, nowMs),
    isFresh: () => loadedAt === changes,
    invalidate: () => {
      changes += 1;
    },
    load,
  };
}

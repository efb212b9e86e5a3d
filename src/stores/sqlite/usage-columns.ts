import type { UsageTotal } from '../../ports/record-store.ts';

/**
 * Usage totals by column, as they go from the reading thread to the other: a tenant's may be thousands of rows, and a structured clone of
 * as many objects costs more than the query. `keys` and `models` hold each name once; rows name them by their place.
 */
export interface UsageColumns {
  readonly keys: readonly string[];
  readonly models: readonly string[];
  readonly keyPlaces: Uint32Array;
  readonly modelPlaces: Uint32Array;
  readonly requests: Float64Array;
  readonly promptTokens: Float64Array;
  readonly completionTokens: Float64Array;
  readonly costNanoUsd: BigInt64Array;
}

/** A row of totals as the driver gives it: key, model, requests, prompt and completion tokens, cost. */
export type UsageTotalRow = readonly [string, string, bigint, bigint, bigint, bigint];

/** Gives each name a place, in the order in which it was first met. */
function makePlaces(): { readonly names: string[]; readonly placeOf: (name: string) => number } {
  const names: string[] = [];
  const places = new Map<string, number>();
  return {
    names,
    placeOf: (name) => {
      const known = places.get(name);
      if (known !== undefined) return known;
      places.set(name, names.length);
      return names.push(name) - 1;
    },
  };
}

/** Puts rows into columns. */
export function toUsageColumns(rows: readonly UsageTotalRow[]): UsageColumns {
  const keys = makePlaces();
  const models = makePlaces();
  return {
    keys: keys.names,
    models: models.names,
    keyPlaces: Uint32Array.from(rows, (row) => keys.placeOf(row[0])),
    modelPlaces: Uint32Array.from(rows, (row) => models.placeOf(row[1])),
    requests: Float64Array.from(rows, (row) => Number(row[2])),
    promptTokens: Float64Array.from(rows, (row) => Number(row[3])),
    completionTokens: Float64Array.from(rows, (row) => Number(row[4])),
    costNanoUsd: BigInt64Array.from(rows, (row) => row[5]),
  };
}

/** Makes totals of columns again. */
export function fromUsageColumns(columns: UsageColumns): UsageTotal[] {
  const { keys, models, keyPlaces, modelPlaces } = columns;
  return Array.from(keyPlaces, (keyPlace, row) => ({
    keyId: keys[keyPlace] ?? '',
    model: models[modelPlaces[row] ?? 0] ?? '',
    requests: columns.requests[row] ?? 0,
    promptTokens: columns.promptTokens[row] ?? 0,
    completionTokens: columns.completionTokens[row] ?? 0,
    costNanoUsd: columns.costNanoUsd[row] ?? 0n,
  }));
}

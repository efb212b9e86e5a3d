import type { JsonObject } from '../../core/bounds/inference-request.ts';

/** A response that the demo upstream keeps. */
export interface StoredResponse {
  /** As it is once it has ended. */
  readonly ended: JsonObject;
  /** What it was made from, with an id each. */
  readonly inputItems: readonly JsonObject[];
  /** Tokens that it adds to a prompt that builds on it. */
  readonly tokens: number;
  /** How often it must be asked for until it has ended; more than 0 only for one made in the background. */
  waits: number;
  cancelled: boolean;
}

/** Responses by their id, in memory. */
export interface DemoResponseStore {
  /** A number that no response had before. */
  next(): number;
  put(id: string, response: StoredResponse): void;
  get(id: string): StoredResponse | undefined;
  /** An item of a kept response, given or made. */
  item(id: string): JsonObject | undefined;
  delete(id: string): boolean;
  readonly size: number;
}

/** The most that is kept; the oldest goes first. */
const MAX_RESPONSES = 500;
const MAX_CHARS = 8_000_000;

/** Makes a store that keeps 500 responses, or 8 million characters of them. */
export function makeDemoResponseStore(): DemoResponseStore {
  const kept = new Map<string, { readonly response: StoredResponse; readonly chars: number }>();
  let chars = 0;
  let made = 0;

  const remove = (id: string): boolean => {
    chars -= kept.get(id)?.chars ?? 0;
    return kept.delete(id);
  };

  return {
    next: () => (made += 1),
    put: (id, response) => {
      const size = JSON.stringify([response.ended, response.inputItems]).length;
      remove(id);
      kept.set(id, { response, chars: size });
      chars += size;
      for (const oldest of kept.keys()) {
        if (kept.size <= MAX_RESPONSES && chars <= MAX_CHARS) break;
        remove(oldest);
      }
    },
    get: (id) => kept.get(id)?.response,
    item: (id) => {
      for (const { response } of kept.values()) {
        const items = [...response.inputItems, ...(response.ended['output'] as readonly JsonObject[])];
        const found = items.find((item) => item['id'] === id);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    delete: remove,
    get size() {
      return kept.size;
    },
  };
}

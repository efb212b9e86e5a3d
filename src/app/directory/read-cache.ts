/** Values read by key, remembered until they are said to have changed. */
export interface ReadCache<T> {
  /** The value, from memory or read now; undefined where there is none. Callers at the same moment share one read. */
  get(key: string): Promise<T | undefined>;
  /** The value where it is in memory; undefined where only {@link ReadCache.get} can tell. */
  peek(key: string): T | undefined;
  /** Forgets the value whose id is `id`, under every key, and everything that was missing: it may be there now. */
  forget(id: string): void;
  clear(): void;
  /** How many values and how many absences are remembered. */
  readonly size: { readonly found: number; readonly missing: number };
}

/** What a cache needs. `idOf` is what {@link ReadCache.forget} knows a value by. Absences are not remembered with `maxMissing` 0. */
export interface ReadCacheOptions<T> {
  readonly read: (key: string) => Promise<T | undefined>;
  readonly idOf: (value: T) => string;
  readonly maxFound: number;
  readonly maxMissing: number;
}

/**
 * Makes a cache that keeps what was used last and throws away what was not used for longest.
 *
 * What is forgotten while it is being read is not remembered when the read ends, and nobody who asks afterwards is given it.
 */
export function makeReadCache<T>(options: ReadCacheOptions<T>): ReadCache<T> {
  const { read, idOf, maxFound, maxMissing } = options;
  const found = new Map<string, T>();
  /** Under which keys each value is kept: nearly always one. */
  const keysOfId = new Map<string, string[]>();
  const missing = new Set<string>();
  const reading = new Map<string, Promise<T | undefined>>();
  let epoch = 0;

  function startOver(): void {
    epoch += 1;
    reading.clear();
    missing.clear();
  }

  function keepFound(key: string, value: T): void {
    found.set(key, value);
    const known = keysOfId.get(idOf(value));
    if (known === undefined) keysOfId.set(idOf(value), [key]);
    else if (!known.includes(key)) known.push(key);
    if (found.size <= maxFound) return;
    // A Map gives its entries in the order in which they were put: the first was not used for longest.
    const oldest = found.entries().next().value;
    if (oldest !== undefined) drop(...oldest);
  }

  function drop(key: string, value: T): void {
    found.delete(key);
    const others = keysOfId.get(idOf(value))?.filter((other) => other !== key) ?? [];
    if (others.length === 0) keysOfId.delete(idOf(value));
    else keysOfId.set(idOf(value), others);
  }

  function keepMissing(key: string): void {
    if (maxMissing === 0) return;
    missing.add(key);
    if (missing.size > maxMissing) missing.delete(missing.values().next().value ?? key);
  }

  async function readNow(key: string): Promise<T | undefined> {
    const startedIn = epoch;
    const value = await read(key);
    if (startedIn !== epoch) return value;
    reading.delete(key);
    if (value === undefined) keepMissing(key);
    else keepFound(key, value);
    return value;
  }

  return {
    get(key) {
      const value = found.get(key);
      if (value !== undefined) {
        found.delete(key);
        found.set(key, value);
        return Promise.resolve(value);
      }
      if (missing.has(key)) return Promise.resolve(undefined);
      const shared = reading.get(key);
      if (shared !== undefined) return shared;
      const startedIn = epoch;
      const started = readNow(key);
      reading.set(key, started);
      // A read that failed must not fail those who ask later.
      started.catch(() => {
        if (startedIn === epoch) reading.delete(key);
      });
      return started;
    },
    peek: (key) => found.get(key),
    forget(id) {
      startOver();
      for (const key of keysOfId.get(id) ?? []) found.delete(key);
      keysOfId.delete(id);
    },
    clear() {
      startOver();
      found.clear();
      keysOfId.clear();
    },
    get size() {
      return { found: found.size, missing: missing.size };
    },
  };
}

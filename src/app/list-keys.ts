import { keyCapId, TOKENS, USD_MICROCENTS, type Account, type Unit } from '../core/ledger/account.ts';
import type { ApiKey, KeyKind } from '../core/records.ts';
import type { KeyUsage, RecordStore } from '../ports/record-store.ts';

/** A key with its limits and what it has used. `maxTokens` null is no cap; `money` is undefined where the key has no money account. */
export interface KeyWithUse {
  readonly key: ApiKey;
  readonly maxTokens: bigint | null;
  readonly money: Account | undefined;
  readonly usage: KeyUsage | undefined;
}

/** What a list may ask for: keys of a tenant, oldest first, those after `afterId`. */
export interface KeyQuery {
  readonly tenantId: string;
  readonly kinds: readonly KeyKind[];
  readonly afterId?: string;
  readonly limit: number;
}

/** One page of a list. `next` is the id of its last key where more follow, else null. */
export interface KeyPage {
  readonly keys: readonly KeyWithUse[];
  readonly next: string | null;
}

/** Reads of keys together with their limits and use. */
export interface KeyReader {
  /** One page, at most `limit` keys, and the id to go on after; null where no more follow. */
  page(query: KeyQuery): Promise<KeyPage>;
  /**
   * Every page of all keys, without their money. The next page is read while the caller is busy with the one before it, and no list is
   * ever in memory as a whole.
   */
  pages(query: Omit<KeyQuery, 'afterId'>): AsyncGenerator<KeyWithUse[]>;
  /** The limits and use of keys of one tenant that are known already. */
  describe(keys: readonly ApiKey[]): Promise<KeyWithUse[]>;
}

/** Makes the {@link KeyReader} over the committed rows of a store. */
export function makeKeyReader(deps: { records: Pick<RecordStore, 'keys' | 'accounts' | 'keyUsage'> }): KeyReader {
  const { records } = deps;

  async function describe(keys: readonly ApiKey[], units: readonly Unit[]): Promise<KeyWithUse[]> {
    const [first] = keys;
    if (first === undefined) return [];
    const capIds = keys.flatMap(({ tenantId, id }) => units.map((unit) => keyCapId(tenantId, id, unit)));
    const [accounts, usages] = await Promise.all([
      records.accounts(capIds),
      records.keyUsage({ tenantId: first.tenantId, keyIds: keys.map(({ id }) => id) }),
    ]);
    const usageByKey = new Map(usages.map((usage) => [usage.keyId, usage]));
    return keys.map((key) => ({
      key,
      maxTokens: accounts.get(keyCapId(key.tenantId, key.id, TOKENS))?.allocated ?? null,
      money: accounts.get(keyCapId(key.tenantId, key.id, USD_MICROCENTS)),
      usage: usageByKey.get(key.id),
    }));
  }

  return {
    page: async (query) => {
      const found = await records.keys({ ...query, limit: query.limit + 1 });
      const keys = found.slice(0, query.limit);
      const next = found.length > query.limit ? (keys.at(-1)?.id ?? null) : null;
      return { keys: await describe(keys, [TOKENS, USD_MICROCENTS]), next };
    },
    describe: (keys) => describe(keys, [TOKENS, USD_MICROCENTS]),
    async *pages(query) {
      let coming: Promise<ApiKey[]> | null = records.keys(query);
      while (coming !== null) {
        const keys: ApiKey[] = await coming;
        const last = keys.at(-1);
        coming = last === undefined || keys.length < query.limit ? null : records.keys({ ...query, afterId: last.id });
        // Nobody waits for it yet; where it fails, the next turn of the loop throws it.
        coming?.catch(() => undefined);
        if (keys.length > 0) yield await describe(keys, [TOKENS]);
      }
    },
  };
}

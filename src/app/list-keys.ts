import { keyCapId, TOKENS, USD_MICROCENTS, type Account } from '../core/ledger/account.ts';
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

/** Reads of keys together with their limits and use. */
export interface KeyReader {
  /** One page, at most `limit` keys. */
  page(query: KeyQuery): Promise<KeyWithUse[]>;
  /** Every page of all keys, each read when the one before it is done with, so that no list is ever in memory as a whole. */
  pages(query: Omit<KeyQuery, 'afterId'>): AsyncGenerator<KeyWithUse[]>;
  /** The limits and use of keys that are known already. */
  describe(keys: readonly ApiKey[]): Promise<KeyWithUse[]>;
}

/** Makes the {@link KeyReader} over the committed rows of a store. */
export function makeKeyReader(deps: { records: Pick<RecordStore, 'keys' | 'accounts' | 'keyUsage'> }): KeyReader {
  const { records } = deps;

  async function describe(keys: readonly ApiKey[]): Promise<KeyWithUse[]> {
    const [first] = keys;
    if (first === undefined) return [];
    const capIds = keys.flatMap(({ tenantId, id }) => [keyCapId(tenantId, id, TOKENS), keyCapId(tenantId, id, USD_MICROCENTS)]);
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

  const page = async (query: KeyQuery): Promise<KeyWithUse[]> => describe(await records.keys(query));

  return {
    page,
    describe,
    async *pages(query) {
      let afterId: string | undefined;
      for (;;) {
        const found = await page(afterId === undefined ? query : { ...query, afterId });
        if (found.length > 0) yield found;
        afterId = found.at(-1)?.key.id;
        if (found.length < query.limit || afterId === undefined) return;
      }
    },
  };
}

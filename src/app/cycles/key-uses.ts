import { SYSTEM_TENANT } from '../../core/records.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** Uses that wait to be written down; beyond them the oldest are forgotten, which costs nothing but how exact a list is. */
const MAX_WAITING = 10_000;
const MAX_AT_ONCE = 500;

/** When tenants' keys were last used. */
export interface KeyUses {
  /** Remembers a use, in memory: no request waits for a disk. Moments in milliseconds. */
  note(keyId: string, atMs: number): void;
  /** The last use of each key that was ever used: by this process at once, by another after the few seconds between two flushes. */
  lastUsed(keyIds: readonly string[]): Promise<Map<string, number>>;
  /** Writes down what was remembered. What cannot be written stays for the next time. */
  flush(): Promise<void>;
}

/** Makes the {@link KeyUses}. A kill loses what was used in the last seconds. */
export function makeKeyUses(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'keyUses'>;
  readonly ids: Pick<Ids, 'next'>;
}): KeyUses {
  const { writer, records, ids } = deps;
  const waiting = new Map<string, number>();
  return {
    note: (keyId, atMs) => {
      waiting.set(keyId, atMs);
      if (waiting.size > MAX_WAITING) waiting.delete(waiting.keys().next().value ?? keyId);
    },
    lastUsed: async (keyIds) => {
      const known = keyIds.length === 0 ? new Map<string, number>() : await records.keyUses(keyIds);
      for (const id of keyIds) {
        const here = waiting.get(id);
        if (here !== undefined) known.set(id, Math.max(here, known.get(id) ?? here));
      }
      return known;
    },
    flush: async () => {
      while (waiting.size > 0) {
        const uses = [...waiting].slice(0, MAX_AT_ONCE).map(([keyId, atMs]) => ({ keyId, atMs }));
        await writer.execute({ verb: 'note-key-uses', id: ids.next('cmd'), tenantId: SYSTEM_TENANT, uses });
        for (const { keyId, atMs } of uses) if (waiting.get(keyId) === atMs) waiting.delete(keyId);
      }
    },
  };
}

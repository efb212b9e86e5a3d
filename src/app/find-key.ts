import { presentedValue } from '../core/access/decide-rotate-key.ts';
import type { ApiKey } from '../core/records.ts';
import { accepted, rejected, type Outcome } from '../core/rejection.ts';
import type { Clock } from '../ports/clock.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { KeyHasher } from '../ports/secret-box.ts';

/**
 * Makes the use case that finds a tenant's inference key by its full value, or while a rotation's grace lasts by the one before. Asks the store itself: a key is found on every node from
 * the moment on in which it was made.
 *
 * Rejects: `not_found` (unknown, masked, past its grace, deleted, another tenant's, or of another kind; which of them is not told).
 */
export function makeFindKey(deps: { records: Pick<RecordStore, 'keyByHash'>; hasher: KeyHasher; clock: Clock }) {
  return async (tenantId: string, plaintext: string): Promise<Outcome<ApiKey>> => {
    const hash = deps.hasher.hash(plaintext);
    const key = await deps.records.keyByHash(hash);
    const isVisible = key !== undefined && key.deletedAtMs === null && key.tenantId === tenantId && key.kind === 'inference';
    return isVisible && presentedValue(key, hash, deps.clock.nowMs()) !== null
      ? accepted(key)
      : rejected({ code: 'not_found', message: 'API key not found', field: 'key' });
  };
}

import type { ApiKey } from '../core/records.ts';
import { accepted, rejected, type Outcome } from '../core/rejection.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { KeyHasher } from '../ports/secret-box.ts';

/**
 * Makes the use case that finds a tenant's inference key by its full value. Asks the store itself: a key is found on every node from
 * the moment on in which it was made.
 *
 * Rejects: `not_found` (unknown, masked, deleted, another tenant's, or of another kind; which of them is not told).
 */
export function makeFindKey(deps: { records: Pick<RecordStore, 'keyByHash'>; hasher: KeyHasher }) {
  return async (tenantId: string, plaintext: string): Promise<Outcome<ApiKey>> => {
    const key = await deps.records.keyByHash(deps.hasher.hash(plaintext));
    const isVisible = key !== undefined && key.deletedAtMs === null && key.tenantId === tenantId && key.kind === 'inference';
    return isVisible ? accepted(key) : rejected({ code: 'not_found', message: 'API key not found', field: 'key' });
  };
}

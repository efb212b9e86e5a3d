import { presentedValue } from '../../core/access/decide-rotate-key.ts';
import { tenantKeyStatus } from '../../core/cycles/tenant-key.ts';
import type { ApiKey } from '../../core/records.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { KeyHasher } from '../../ports/secret-box.ts';

/** Why a key is not good. Source: Cycles governance, validateApiKey. */
export type InvalidReason =
  | 'KEY_NOT_FOUND'
  | 'KEY_REVOKED'
  | 'KEY_EXPIRED'
  | 'INVALID_KEY'
  | 'TENANT_NOT_FOUND'
  | 'TENANT_SUSPENDED'
  | 'TENANT_CLOSED';

/** What is known of a key that somebody has. `key` null: nobody has such a one. */
export type KeyValidity =
  | { readonly valid: true; readonly key: ApiKey }
  | { readonly valid: false; readonly key: ApiKey | null; readonly reason: InvalidReason };

/**
 * Makes the use case that tells whether a tenant's key is good. The whole value is looked up by its keyed hash, so that nobody learns
 * anything of a key of which they know a part.
 *
 * Reasons, in this order: KEY_NOT_FOUND (also for keys of other kinds), KEY_REVOKED, KEY_EXPIRED, INVALID_KEY (disabled),
 * TENANT_NOT_FOUND, TENANT_SUSPENDED, TENANT_CLOSED.
 */
export function makeValidateKey(deps: {
  readonly records: Pick<RecordStore, 'keyByHash' | 'deletedKeyByHash' | 'record'>;
  readonly hasher: KeyHasher;
  readonly clock: Clock;
}) {
  const { records, hasher, clock } = deps;
  return async (plaintext: string): Promise<KeyValidity> => {
    const hash = hasher.hash(plaintext);
    const nowMs = clock.nowMs();
    const live = await records.keyByHash(hash);
    const key =
      live !== undefined && presentedValue(live, hash, nowMs) === null ? undefined : (live ?? (await records.deletedKeyByHash(hash)));
    if (key?.kind !== 'tenant') return { valid: false, key: null, reason: 'KEY_NOT_FOUND' };
    const refused = (reason: InvalidReason): KeyValidity => ({ valid: false, key, reason });
    const status = tenantKeyStatus(key, nowMs);
    if (status !== 'ACTIVE') return refused(`KEY_${status}`);
    if (key.disabled) return refused('INVALID_KEY');
    const tenant = await records.record('tenant', key.tenantId);
    if (tenant === undefined) return refused('TENANT_NOT_FOUND');
    return tenant.status === 'ACTIVE' ? { valid: true, key } : refused(`TENANT_${tenant.status}`);
  };
}

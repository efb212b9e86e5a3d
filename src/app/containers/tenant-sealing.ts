import type { SealedByTenant } from '../../core/containers/secret-commands.ts';
import type { TenantKey } from '../../core/containers/secret-records.ts';
import type { Outcome } from '../../core/rejection.ts';
import type { DataKey, DataKeys } from '../../ports/data-keys.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/** Another command may bring the tenant's first key at the same time: then the value is sealed again, by that one. */
const TRIES = 3;

/** A tenant's key from its record. */
export const dataKeyOf = ({ tenantId, keyId, keySealed }: TenantKey): DataKey => ({ tenantId, id: keyId, sealed: keySealed });

/** Seals `plaintext` under the tenant's key, or under its first one, and sends what comes of it. Rejects as the command does. */
export async function sendSealed<T>(
  deps: { readonly records: Pick<RecordStore, 'record'>; readonly dataKeys: DataKeys },
  given: { readonly tenantId: string; readonly plaintext: string; readonly identity: string },
  send: (sealed: SealedByTenant) => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  const { records, dataKeys } = deps;
  const { tenantId, plaintext, identity } = given;
  for (let tries = TRIES; ; tries -= 1) {
    const known = await records.record('tenant-key', tenantId);
    const key = known === undefined ? dataKeys.make(tenantId) : dataKeyOf(known);
    const sealed = dataKeys.seal(key, plaintext, identity);
    const outcome = await send({ keyId: key.id, newKeySealed: known === undefined ? key.sealed : null, sealed });
    if (outcome.ok || outcome.rejection.code !== 'stale_view' || tries === 0) return outcome;
  }
}

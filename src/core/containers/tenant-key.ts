import type { Refusal } from '../access/rules.ts';
import type { Effect } from '../effects.ts';
import { rejected } from '../rejection.ts';
import type { State } from '../verb.ts';
import type { SealedByTenant } from './secret-commands.ts';
import type { TenantKey } from './secret-records.ts';

/**
 * The key that sealed what a command brings: the tenant's, or the first one, which comes with it. Refuses what another key sealed: `stale_view`, where two
 * commands bring a first key.
 */
export function sealingKey(
  state: State,
  { tenantId, sealed, nowMs }: { readonly tenantId: string; readonly sealed: SealedByTenant; readonly nowMs: number },
): { readonly refusal: Refusal } | { readonly key: TenantKey } {
  const known = state.record('tenant-key', tenantId);
  if (known?.keyId === sealed.keyId) return { key: known };
  if (known !== undefined || sealed.newKeySealed === null) {
    return { refusal: rejected({ code: 'stale_view', message: 'the key of the tenant changed meanwhile; ask again' }) };
  }
  const { keyId, newKeySealed } = sealed;
  return { key: { id: tenantId, tenantId, keyId, keySealed: newKeySealed, secretCount: 0, secretBytes: 0, createdAtMs: nowMs } };
}

/** The effect that puts a tenant's key. */
export const tenantKeyEffect = (key: TenantKey): Effect => ({ type: 'record', kind: 'tenant-key', id: key.id, record: key });

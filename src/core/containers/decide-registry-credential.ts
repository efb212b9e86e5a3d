import { eventEffects } from '../access/access-events.ts';
import { openTenant } from '../access/decide-tenant.ts';
import { notFound, type Refusal } from '../access/rules.ts';
import type { Tenant } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Needs, type State, type Verb } from '../verb.ts';
import type { DeleteRegistryCredentialCommand, NoteRegistryRefusalCommand, PutRegistryCredentialCommand } from './secret-commands.ts';
import { registryRecordId, type CredentialRegistry, type RegistryCredential } from './secret-records.ts';
import { sealingKey, tenantKeyEffect } from './tenant-key.ts';

const needsOf = ({ tenantId, registry }: { readonly tenantId: string; readonly registry: CredentialRegistry }): Needs => ({
  tenantLock: 'exclusive',
  records: [
    { kind: 'tenant-key', id: tenantId },
    { kind: 'registry-credential', id: registryRecordId(tenantId, registry) },
  ],
});

/** Refuses a tenant that may not use private registries: `forbidden`, in the words of the service that this API is known from. Source: reference section 1.0. */
export const refusePrivateRegistries = ({ entitlements }: Tenant): Refusal | null =>
  entitlements.privateRegistries
    ? null
    : rejected({ code: 'forbidden', message: 'private registry access is not enabled for this organization' });

/** Refuses: `not_found` (tenant), `tenant_closed`, `forbidden`; null where the tenant may keep credentials. */
function refuseTenant(state: State, tenantId: string): Refusal | null {
  const open = openTenant(state, tenantId);
  return 'rejection' in open ? rejected(open.rejection) : refusePrivateRegistries(open.tenant);
}

const toldOf = (tenantId: string, registry: CredentialRegistry) => ({ tenant_id: tenantId, registry });

/**
 * Keeps what opens a registry. The value is the record: it counts as good until the registry says otherwise.
 *
 * Rejects, in this order: `not_found` (tenant), `tenant_closed`, `forbidden` (no private registries), `stale_view` (sealed by another key than the tenant's).
 */
export const putRegistryCredentialVerb: Verb<PutRegistryCredentialCommand, RegistryCredential> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const { tenantId, registry, username, password } = command;
    const refusal = refuseTenant(state, tenantId);
    if (refusal !== null) return refuse(refusal);
    const found = sealingKey(state, { tenantId, sealed: password, nowMs });
    if ('refusal' in found) return refuse(found.refusal);
    const id = registryRecordId(tenantId, registry);
    const record: RegistryCredential = {
      id,
      tenantId,
      registry,
      username,
      passwordSealed: password.sealed,
      refusedAtMs: null,
      updatedAtMs: nowMs,
    };
    const data = { ...toldOf(tenantId, registry), username };
    return {
      outcome: accepted(record),
      effects: [
        tenantKeyEffect(found.key),
        { type: 'record', kind: 'registry-credential', id, record },
        ...eventEffects(command, nowMs, [{ type: 'registry_credential.updated', data }]),
      ],
      auditMetadata: data,
    };
  },
};

/** Forgets what opens a registry. The value is what it was. Rejects as keeping does, then `not_found` (nothing is kept). */
export const deleteRegistryCredentialVerb: Verb<DeleteRegistryCredentialCommand, RegistryCredential> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const { tenantId, registry } = command;
    const refusal = refuseTenant(state, tenantId);
    if (refusal !== null) return refuse(refusal);
    const id = registryRecordId(tenantId, registry);
    const before = state.record('registry-credential', id);
    if (before === undefined) return refuse(notFound(`credentials for ${registry}`));
    const data = toldOf(tenantId, registry);
    return {
      outcome: accepted(before),
      effects: [
        { type: 'record-removed', kind: 'registry-credential', id },
        ...eventEffects(command, nowMs, [{ type: 'registry_credential.deleted', data }]),
      ],
      auditMetadata: data,
    };
  },
};

/** Notes that a registry did not take what is kept for it. The value says whether that is news: not of credentials that were changed meanwhile. */
export const noteRegistryRefusalVerb: Verb<NoteRegistryRefusalCommand, boolean> = {
  needs: needsOf,
  decide: (state, command, nowMs) => {
    const { tenantId, registry, seenSealed } = command;
    const before = state.record('registry-credential', registryRecordId(tenantId, registry));
    if (before === undefined || before.passwordSealed !== seenSealed || before.refusedAtMs !== null) {
      return { outcome: accepted(false), effects: [] };
    }
    const data = toldOf(tenantId, registry);
    return {
      outcome: accepted(true),
      effects: [
        { type: 'record', kind: 'registry-credential', id: before.id, record: { ...before, refusedAtMs: nowMs } },
        ...eventEffects(command, nowMs, [{ type: 'registry_credential.expired', data }]),
      ],
      auditMetadata: data,
    };
  },
};

import { invalid, notFound } from '../../core/access/rules.ts';
import { refusePrivateRegistries } from '../../core/containers/decide-registry-credential.ts';
import {
  CREDENTIAL_REGISTRIES,
  registryRecordId,
  type CredentialRegistry,
  type RegistryCredential,
} from '../../core/containers/secret-records.ts';
import { checkCredentials, isCredentialRegistry, type GivenCredentials } from '../../core/containers/secret-rules.ts';
import { sealIdentity } from '../../core/records.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import type { DataKeys } from '../../ports/data-keys.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { sendSealed } from './tenant-sealing.ts';

/** What is kept for a registry, without what opens it; null: nothing. */
export type RegistryView = Omit<RegistryCredential, 'passwordSealed'> | null;

/** What is done with a tenant's credentials of registries. All reject, first of all: `not_found` (tenant), `forbidden` (no private registries). */
export interface ManageRegistries {
  /** All registries that there may be something for, in a fixed order. */
  status(tenantId: string): Promise<Outcome<ReadonlyMap<CredentialRegistry, RegistryView>>>;
  /** Rejects: `invalid_request` (registry, a field), then as `put-registry-credential`. */
  put(actor: Actor, tenantId: string, registry: string, given: GivenCredentials): Promise<Outcome<CredentialRegistry>>;
  /** Rejects: `invalid_request` (registry), then as `delete-registry-credential`. */
  remove(actor: Actor, tenantId: string, registry: string): Promise<Outcome<CredentialRegistry>>;
}

/** What managing credentials needs. */
export interface ManageRegistriesDeps {
  readonly records: Pick<RecordStore, 'record' | 'records'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly dataKeys: DataKeys;
}

const withoutPassword = ({ id, tenantId, registry, username, refusedAtMs, updatedAtMs }: RegistryCredential): RegistryView => ({
  id,
  tenantId,
  registry,
  username,
  refusedAtMs,
  updatedAtMs,
});

/** Makes the {@link ManageRegistries}. */
export function makeManageRegistries(deps: ManageRegistriesDeps): ManageRegistries {
  const { records, writer, ids } = deps;

  async function allowed(tenantId: string): Promise<Outcome<null>> {
    const tenant = await records.record('tenant', tenantId);
    if (tenant === undefined) return notFound(`tenant ${tenantId}`);
    return refusePrivateRegistries(tenant) ?? accepted(null);
  }

  async function checked(tenantId: string, registry: string): Promise<Outcome<CredentialRegistry>> {
    const may = await allowed(tenantId);
    if (!may.ok) return may;
    return isCredentialRegistry(registry) ? accepted(registry) : invalid('registry', `be one of ${CREDENTIAL_REGISTRIES.join(', ')}`);
  }

  const baseOf = (actor: Actor, name: string, tenantId: string, registry: string) =>
    auditedBase(ids, actor, { name, tenantId, resourceKind: 'registry_credential', resourceId: registry });

  return {
    status: async (tenantId) => {
      const may = await allowed(tenantId);
      if (!may.ok) return may;
      const kept = await records.records('registry-credential', tenantId);
      const views = kept.map((credential) => [credential.registry, withoutPassword(credential)] as const);
      return accepted(new Map<CredentialRegistry, RegistryView>([...CREDENTIAL_REGISTRIES.map((name) => [name, null] as const), ...views]));
    },
    put: async (actor, tenantId, name, given) => {
      const may = await checked(tenantId, name);
      if (!may.ok) return may;
      const registry = may.value;
      const good = checkCredentials(registry, given);
      if ('ok' in good) return good;
      const { username, password: plaintext } = good.credentials;
      const identity = sealIdentity('registry-credential', registryRecordId(tenantId, registry));
      const outcome = await sendSealed(deps, { tenantId, plaintext, identity }, (password) =>
        writer.execute({
          verb: 'put-registry-credential',
          ...baseOf(actor, 'put-registry-credential', tenantId, registry),
          registry,
          username,
          password,
        }),
      );
      return outcome.ok ? accepted(registry) : outcome;
    },
    remove: async (actor, tenantId, name) => {
      const may = await checked(tenantId, name);
      if (!may.ok) return may;
      const registry = may.value;
      const base = baseOf(actor, 'delete-registry-credential', tenantId, registry);
      const outcome = await writer.execute({ verb: 'delete-registry-credential', ...base, registry });
      return outcome.ok ? accepted(registry) : outcome;
    },
  };
}

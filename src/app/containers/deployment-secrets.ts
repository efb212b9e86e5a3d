import type { RegistryKind } from '../../core/containers/images.ts';
import { registryRecordId, secretRecordId, type RegistryCredential } from '../../core/containers/secret-records.ts';
import { isCredentialRegistry, isSecretName } from '../../core/containers/secret-rules.ts';
import { sealIdentity } from '../../core/records.ts';
import type { RegistryAuth } from '../../ports/container-engine.ts';
import type { DataKeys } from '../../ports/data-keys.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import type { DeploymentSecrets } from './bring-up.ts';
import { dataKeyOf } from './tenant-sealing.ts';

/** Whom a registry of Google is told that a key of a service account is for. Source: Tinfoil reference section 1.4. */
const GCR_USERNAME = '_json_key';

/** What reading secrets for deployments needs. */
export interface DeploymentSecretsDeps {
  readonly records: Pick<RecordStore, 'record'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly dataKeys: DataKeys;
}

/**
 * Makes the {@link DeploymentSecrets} of what tenants keep. Values are opened for each deployment and kept nowhere. A tenant that may no longer use private
 * registries pulls without its credentials.
 */
export function makeDeploymentSecrets(deps: DeploymentSecretsDeps): DeploymentSecrets {
  const { records, writer, ids, dataKeys } = deps;

  async function openerOf(tenantId: string): Promise<((sealed: string, identity: string) => string) | null> {
    const key = await records.record('tenant-key', tenantId);
    return key === undefined ? null : (sealed, identity) => dataKeys.open(dataKeyOf(key), sealed, identity);
  }

  async function credentialOf(
    tenantId: string,
    kind: RegistryKind,
  ): Promise<{ readonly kept: RegistryCredential; readonly auth: RegistryAuth } | null> {
    if (!isCredentialRegistry(kind)) return null;
    const id = registryRecordId(tenantId, kind);
    const [tenant, kept, open] = await Promise.all([
      records.record('tenant', tenantId),
      records.record('registry-credential', id),
      openerOf(tenantId),
    ]);
    if (tenant?.entitlements.privateRegistries !== true || kept === undefined || open === null) return null;
    const password = open(kept.passwordSealed, sealIdentity('registry-credential', id));
    return { kept, auth: { username: kind === 'gcr' ? GCR_USERNAME : kept.username, password } };
  }

  return {
    values: async (tenantId, names) => {
      const open = names.length === 0 ? null : await openerOf(tenantId);
      if (open === null) return new Map();
      const secrets = await Promise.all(names.filter(isSecretName).map((name) => records.record('secret', secretRecordId(tenantId, name))));
      return new Map(
        secrets
          .filter((secret) => secret !== undefined)
          .map(({ id, name, valueSealed }) => [name, open(valueSealed, sealIdentity('secret', id))] as const),
      );
    },
    registryAuth: async (tenantId, kind) => (await credentialOf(tenantId, kind))?.auth ?? null,
    noteRefusedAuth: async (tenantId, kind, auth) => {
      const found = await credentialOf(tenantId, kind);
      if (found === null || found.auth.username !== auth.username || found.auth.password !== auth.password) return;
      const { registry, passwordSealed: seenSealed, refusedAtMs } = found.kept;
      if (refusedAtMs !== null) return;
      await writer.execute({
        verb: 'note-registry-refusal',
        id: ids.next('cmd'),
        tenantId,
        audit: {
          id: ids.next('aud'),
          operation: 'registry_credential.expired',
          actorKind: 'system',
          actorId: 'containers',
          resourceKind: 'registry_credential',
          resourceId: registry,
          requestId: ids.next('req'),
        },
        registry,
        seenSealed,
      });
    },
  };
}

/** The registries that a tenant may keep credentials for. Source: Tinfoil Admin API, registry credentials. */
export type CredentialRegistry = 'ghcr' | 'gcr' | 'dockerhub';

/** All of them, in the order in which they are shown. */
export const CREDENTIAL_REGISTRIES: readonly CredentialRegistry[] = ['ghcr', 'gcr', 'dockerhub'];

/**
 * The key that seals what a tenant keeps for its containers: 32 bytes in base64, sealed by the master key. `keyId` is the name that sealed values tell of it;
 * it never changes, as a new master key only seals it anew. `secretCount` and `secretBytes` (of sealed text) are those of the tenant's secrets.
 * `id` is the tenant's.
 */
export interface TenantKey {
  readonly id: string;
  readonly tenantId: string;
  readonly keyId: string;
  readonly keySealed: string;
  readonly secretCount: number;
  readonly secretBytes: number;
  readonly createdAtMs: number;
}

/** A value that containers may be given, sealed by its tenant's key with its id, and so its name, as associated data. The record's id is `tenantId/name`. */
export interface Secret {
  readonly id: string;
  readonly secretId: string;
  readonly tenantId: string;
  readonly name: string;
  readonly valueSealed: string;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
}

/**
 * What opens a registry for a tenant: the token, or the whole key of a service account, sealed by the tenant's key. `username` is who it is for. `refusedAtMs`:
 * since when the registry does not take it. The record's id is `tenantId/registry`.
 */
export interface RegistryCredential {
  readonly id: string;
  readonly tenantId: string;
  readonly registry: CredentialRegistry;
  readonly username: string;
  readonly passwordSealed: string;
  readonly refusedAtMs: number | null;
  readonly updatedAtMs: number;
}

/** The record id of a secret. */
export const secretRecordId = (tenantId: string, name: string): string => `${tenantId}/${name}`;

/** The record id of the credentials of a registry. */
export const registryRecordId = (tenantId: string, registry: CredentialRegistry): string => `${tenantId}/${registry}`;

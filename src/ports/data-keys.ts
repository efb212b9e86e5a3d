/** A tenant's key, as it is kept: its name, and the key itself sealed by the master key. */
export interface DataKey {
  readonly tenantId: string;
  readonly id: string;
  readonly sealed: string;
}

/** Seals values under keys of tenants, which the master key seals. A key in the clear leaves nobody who implements this. */
export interface DataKeys {
  /** A new key for a tenant. It counts once it is kept. */
  make(tenantId: string): DataKey;
  /** Seals `plaintext` for `identity` (the kind and id of the row that keeps it), which is its associated data. */
  seal(key: DataKey, plaintext: string, identity: string): string;
  /** Opens what the key sealed for that identity; throws where the key, the identity or the master key is another. */
  open(key: DataKey, sealed: string, identity: string): string;
}

/** Encrypts what must be kept but never seen, under the master key. */
export interface SecretBox {
  /** Seals `plaintext` for `identity` (the kind and id of the row that keeps it); returns base64. */
  seal(plaintext: string, identity: string): string;
  /** Opens what was sealed for the same identity; throws where the master key or the identity is another. */
  open(sealed: string, identity: string): string;
}

/** Keyed hash of credentials: constant work, and worthless without the server's secret. */
export interface KeyHasher {
  /** The base64url HMAC-SHA256 of a credential's plaintext. */
  hash(plaintext: string): string;
}

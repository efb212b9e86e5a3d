/**
 * A public key that may open a shell in debug containers which name it. `publicKey` is type and base64, `fingerprint` as OpenSSH shows it. The record's id is
 * `tenantId/name`; `sshKeyId` is another one for another key that gets a name which was deleted.
 */
export interface SshKey {
  readonly id: string;
  readonly sshKeyId: string;
  readonly tenantId: string;
  readonly name: string;
  readonly keyType: string;
  readonly publicKey: string;
  readonly fingerprint: string;
  readonly createdAtMs: number;
}

/** The record id of an SSH key. */
export const sshKeyRecordId = (tenantId: string, name: string): string => `${tenantId}/${name}`;

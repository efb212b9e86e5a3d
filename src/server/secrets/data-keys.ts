import { randomBytes } from 'node:crypto';
import { sealIdentity } from '../../core/records.ts';
import type { DataKey, DataKeys } from '../../ports/data-keys.ts';
import type { SecretBox } from '../../ports/secret-box.ts';
import { masterKeyOf, openWith, sealWith, type MasterKey } from './aes-secret-box.ts';

const DATA_KEY_BYTES = 32;

/** Keys of tenants on AES-256-GCM, sealed by a secret box under the master key. `open` throws a `SealBroken`. */
export function makeDataKeys({ secretBox }: { readonly secretBox: SecretBox }): DataKeys {
  const identityOf = (tenantId: string): string => sealIdentity('tenant-key', tenantId);
  const opened = ({ tenantId, id, sealed }: DataKey): MasterKey => ({
    id,
    bytes: Buffer.from(secretBox.open(sealed, identityOf(tenantId)), 'base64'),
  });
  return {
    make: (tenantId) => {
      const { id, bytes } = masterKeyOf(randomBytes(DATA_KEY_BYTES));
      return { tenantId, id, sealed: secretBox.seal(Buffer.from(bytes).toString('base64'), identityOf(tenantId)) };
    },
    seal: (key, plaintext, identity) => sealWith(opened(key), plaintext, identity),
    open: (key, sealed, identity) => openWith(opened(key), sealed, identity),
  };
}

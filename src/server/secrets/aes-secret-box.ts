import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import type { SecretBox } from '../../ports/secret-box.ts';

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + NONCE_BYTES;
const ID_CHARACTERS = 12;
const NAMED = /^([A-Za-z0-9+/]+={1,2})\.([0-9a-f]{12})$/;

/** Length of a master key. */
export const MASTER_KEY_BYTES = 32;

/** A master key with its name. The name is told to everyone: nothing of the key follows from it. */
export interface MasterKey {
  readonly id: string;
  readonly bytes: Uint8Array;
}

/** The master key of these bytes; its id is the start of an HMAC under it. */
export const masterKeyOf = (bytes: Uint8Array): MasterKey => ({
  id: createHmac('sha256', bytes).update('castellan:master-key-id', 'utf8').digest('hex').slice(0, ID_CHARACTERS),
  bytes,
});

/** Something sealed could not be opened: another master key, another identity, or damaged bytes. Which of them is not told. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken';
}

/** Ties a ciphertext to its row, so that a value copied into another row does not open there. */
const associatedBytes = (identity: string): Buffer => Buffer.from(`castellan:${VERSION}:${identity}`, 'utf8');

/** The id of the master key that a value says it was sealed with; null where it says none, as values of the first release do. */
export const sealingKeyOf = (sealed: string): string | null => NAMED.exec(sealed)?.[2] ?? null;

/**
 * Seals `plaintext` for `identity` on AES-256-GCM: base64 of version byte, random nonce (12 bytes), tag (16 bytes) and ciphertext, ended by
 * `=`, then a dot and the key's id.
 *
 * Readers of base64 stop at the `=`, so the first release opens these values as well. Random nonces of 96 bits are safe for 2^32 values
 * under one key, far above what one organization keeps.
 */
export function sealWith(key: MasterKey, plaintext: string, identity: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key.bytes, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(associatedBytes(identity));
  const body = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
  const text = Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), body]).toString('base64');
  return `${text.endsWith('=') ? text : `${text}=`}.${key.id}`;
}

/** Opens what `key` sealed for `identity`. Throws {@link SealBroken}. */
export function openWith(key: MasterKey, sealed: string, identity: string): string {
  const bytes = Buffer.from(NAMED.exec(sealed)?.[1] ?? sealed, 'base64');
  if (bytes.length < HEADER_BYTES + TAG_BYTES || bytes[0] !== VERSION) throw new SealBroken('the sealed value is damaged');
  const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(1, HEADER_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(associatedBytes(identity));
  decipher.setAuthTag(bytes.subarray(HEADER_BYTES, HEADER_BYTES + TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8');
  } catch {
    // Node's own error says nothing that helps, and its cause must not be guessed at.
    throw new SealBroken('the sealed value does not open');
  }
}

/** A secret box under one master key. `open` throws {@link SealBroken}. */
export function makeAesSecretBox(options: { masterKey: Uint8Array }): SecretBox {
  const key = masterKeyOf(options.masterKey);
  return {
    seal: (plaintext, identity) => sealWith(key, plaintext, identity),
    open: (sealed, identity) => openWith(key, sealed, identity),
  };
}

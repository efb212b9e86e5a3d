import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { SecretBox } from '../../ports/secret-box.ts';

const VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + NONCE_BYTES;

/** Length of a master key. */
export const MASTER_KEY_BYTES = 32;

/** Something sealed could not be opened: another master key, another identity, or damaged bytes. Which of them is not told. */
export class SealBroken extends Error {
  override readonly name = 'SealBroken';
}

/** Ties a ciphertext to its row, so that a value copied into another row does not open there. */
const associatedBytes = (identity: string): Buffer => Buffer.from(`castellan:${VERSION}:${identity}`, 'utf8');

/**
 * A secret box on AES-256-GCM. A sealed value is base64 of: version byte, random nonce (12 bytes), tag (16 bytes), ciphertext.
 *
 * `open` throws {@link SealBroken}. Random nonces of 96 bits are safe for 2^32 values under one key, far above what one
 * organization keeps.
 */
export function makeAesSecretBox(options: { masterKey: Uint8Array }): SecretBox {
  const { masterKey } = options;
  return {
    seal(plaintext, identity) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', masterKey, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(associatedBytes(identity));
      const body = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()]);
      return Buffer.concat([Buffer.of(VERSION), nonce, cipher.getAuthTag(), body]).toString('base64');
    },
    open(sealed, identity) {
      const bytes = Buffer.from(sealed, 'base64');
      if (bytes.length < HEADER_BYTES + TAG_BYTES || bytes[0] !== VERSION) throw new SealBroken('the sealed value is damaged');
      const decipher = createDecipheriv('aes-256-gcm', masterKey, bytes.subarray(1, HEADER_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAAD(associatedBytes(identity));
      decipher.setAuthTag(bytes.subarray(HEADER_BYTES, HEADER_BYTES + TAG_BYTES));
      try {
        return Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8');
      } catch {
        // Node's own error says nothing that helps, and its cause must not be guessed at.
        throw new SealBroken('the sealed value does not open');
      }
    },
  };
}

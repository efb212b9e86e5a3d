import { createHmac } from 'node:crypto';
import type { KeyHasher } from '../../ports/secret-box.ts';

/** A key hasher on HMAC-SHA256 under `secret`. */
export function makeHmacKeyHasher(options: { secret: Uint8Array }): KeyHasher {
  return { hash: (plaintext) => createHmac('sha256', options.secret).update(plaintext, 'utf8').digest('base64url') };
}

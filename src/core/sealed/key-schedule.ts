import { KEY_BYTES } from './protocol.ts';

/** Length of a nonce of AES-GCM. */
export const NONCE_BYTES = 12;

/** What the key of an answer is expanded for. Source: EHBP specification, section 4.4.1, after RFC 9458, section 4.4. */
export const ANSWER_KEY_LABEL = 'key';
/** The same of its base nonce. */
export const ANSWER_NONCE_LABEL = 'nonce';

/** Frames that one key may seal: far above what an answer holds, far below where counters wrap. */
const MAX_FRAMES = 2 ** 32;

/** What the keys of an answer are extracted with: the encapsulated key of its request, then its own nonce. Both are 32 bytes long. */
export function answerSalt(encapsulatedKey: Uint8Array, responseNonce: Uint8Array): Uint8Array {
  const salt = new Uint8Array(2 * KEY_BYTES);
  salt.set(encapsulatedKey, 0);
  salt.set(responseNonce, KEY_BYTES);
  return salt;
}

/** The nonce of frame `index`, counted from 0: the base nonce with the number in its last bytes, big endian, by exclusive or. */
export function frameNonce(base: Uint8Array, index: number): Uint8Array {
  if (!Number.isInteger(index) || index < 0 || index >= MAX_FRAMES) throw new RangeError(`there is no frame ${index} of an answer`);
  const nonce = Uint8Array.from(base);
  const view = new DataView(nonce.buffer);
  const at = NONCE_BYTES - 4;
  view.setUint32(at, view.getUint32(at) ^ index);
  return nonce;
}

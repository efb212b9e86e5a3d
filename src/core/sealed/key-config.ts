import { KEY_BYTES } from './protocol.ts';

const KEM_X25519_HKDF_SHA256 = 0x00_20;
const KDF_HKDF_SHA256 = 0x00_01;
const AEAD_AES_256_GCM = 0x00_02;
const SUITES_BYTES = 4;

/**
 * The one key that clients seal for, as they read it: `key_id` (0), KEM, public key, length of the suites, and one suite. Integers are big
 * endian. Source: RFC 9458, section 3, and EHBP specification, section 3.2.
 */
export function encodeKeyConfig(publicKey: Uint8Array): Uint8Array {
  const config = new Uint8Array(1 + 2 + KEY_BYTES + 2 + SUITES_BYTES);
  const view = new DataView(config.buffer);
  view.setUint8(0, 0);
  view.setUint16(1, KEM_X25519_HKDF_SHA256);
  config.set(publicKey, 3);
  view.setUint16(3 + KEY_BYTES, SUITES_BYTES);
  view.setUint16(5 + KEY_BYTES, KDF_HKDF_SHA256);
  view.setUint16(7 + KEY_BYTES, AEAD_AES_256_GCM);
  return config;
}

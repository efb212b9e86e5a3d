import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { fingerprintOf } from './parse-ssh-key.ts';

/** The key by which clients know the gateway. */
export interface HostKey {
  /** In OpenSSH's form. */
  readonly privateKey: string;
  /** Type and base64, as a line of `known_hosts` has it behind the host. */
  readonly publicKey: string;
  readonly fingerprint: string;
}

const TYPE = 'ssh-ed25519';
const MAGIC = Buffer.from('openssh-key-v1\0');
const BLOCK_BYTES = 8;
const LINE_LENGTH = 70;

const number = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};
const text = (value: Buffer | string): Buffer => Buffer.concat([number(Buffer.byteLength(value)), Buffer.from(value)]);

/** A private key in OpenSSH's form, without a passphrase. Source: OpenSSH's PROTOCOL.key. */
function encodePrivateKey(seed: Buffer, point: Buffer): string {
  const check = randomBytes(4);
  const secret = Buffer.concat([check, check, text(TYPE), text(point), text(Buffer.concat([seed, point])), text('')]);
  const missing = (BLOCK_BYTES - (secret.length % BLOCK_BYTES)) % BLOCK_BYTES;
  const padded = Buffer.concat([secret, Buffer.from(Array.from({ length: missing }, (_, index) => index + 1))]);
  const publicBytes = Buffer.concat([text(TYPE), text(point)]);
  const all = Buffer.concat([MAGIC, text('none'), text('none'), text(''), number(1), text(publicBytes), text(padded)]);
  const lines = all.toString('base64').match(new RegExp(`.{1,${LINE_LENGTH}}`, 'g')) ?? [];
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n');
}

/** Makes a new private host key, in OpenSSH's form. (The generator of the SSH library makes one now and then that nobody can read.) */
export function makeHostKey(): string {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { d = '', x = '' } = privateKey.export({ format: 'jwk' });
  return encodePrivateKey(Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url'));
}

/** Reads a private host key. Throws where it is none. */
export async function readHostKey(privateKey: string): Promise<HostKey> {
  const { default: ssh } = await import('ssh2');
  const parsed = ssh.utils.parseKey(privateKey);
  if (parsed instanceof Error || Array.isArray(parsed) || !parsed.isPrivateKey()) throw new Error('the SSH host key cannot be read');
  const bytes = parsed.getPublicSSH();
  return { privateKey, publicKey: `${parsed.type} ${bytes.toString('base64')}`, fingerprint: fingerprintOf(bytes) };
}

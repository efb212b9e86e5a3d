import { createHash, createPublicKey } from 'node:crypto';
import type { ParseSshKey } from '../ports/ssh-keys.ts';

const BASE64_PADDING = /=+$/;

/** The fingerprint of a public key's bytes, as OpenSSH shows it. */
export const fingerprintOf = (bytes: Uint8Array): string =>
  `SHA256:${createHash('sha256').update(bytes).digest('base64').replace(BASE64_PADDING, '')}`;

/** Reads public keys by the parser that the gateway itself uses; points that are on no curve and the like are seen by the runtime's own. */
export const parseSshKey: ParseSshKey = async ({ type, base64 }) => {
  const { default: ssh } = await import('ssh2');
  const parsed = ssh.utils.parseKey(`${type} ${base64}`);
  if (parsed instanceof Error || Array.isArray(parsed) || parsed.isPrivateKey()) return null;
  try {
    const bytes = parsed.getPublicSSH();
    const { asymmetricKeyDetails } = createPublicKey(parsed.getPublicPEM());
    const rsaBits = parsed.type === 'ssh-rsa' ? (asymmetricKeyDetails?.modulusLength ?? 0) : null;
    return { type: parsed.type, publicKey: `${parsed.type} ${bytes.toString('base64')}`, fingerprint: fingerprintOf(bytes), rsaBits };
  } catch {
    return null;
  }
};

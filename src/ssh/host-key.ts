import { fingerprintOf } from './parse-ssh-key.ts';

/** The key by which clients know the gateway. */
export interface HostKey {
  /** In OpenSSH's form. */
  readonly privateKey: string;
  /** Type and base64, as a line of `known_hosts` has it behind the host. */
  readonly publicKey: string;
  readonly fingerprint: string;
}

/** Makes a new private host key, in OpenSSH's form. */
export async function makeHostKey(): Promise<string> {
  const { default: ssh } = await import('ssh2');
  return ssh.utils.generateKeyPairSync('ed25519').private;
}

/** Reads a private host key. Throws where it is none. */
export async function readHostKey(privateKey: string): Promise<HostKey> {
  const { default: ssh } = await import('ssh2');
  const parsed = ssh.utils.parseKey(privateKey);
  if (parsed instanceof Error || Array.isArray(parsed) || !parsed.isPrivateKey()) throw new Error('the SSH host key cannot be read');
  const bytes = parsed.getPublicSSH();
  return { privateKey, publicKey: `${parsed.type} ${bytes.toString('base64')}`, fingerprint: fingerprintOf(bytes) };
}

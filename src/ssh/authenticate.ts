import type { AuthContext, PublicKeyAuthContext } from 'ssh2';
import type ssh2 from 'ssh2';
import type { ShellCandidate, SshAccess } from '../ports/ssh-access.ts';

/** Why a try was refused, as it is counted. */
export type TryRefusal = 'method' | 'algorithm' | 'key' | 'signature';

/** The one who is let in, `offered` for a good key whose owner has yet to sign, or why not. */
export type TryOutcome =
  | { readonly kind: 'granted'; readonly candidate: ShellCandidate }
  | { readonly kind: 'offered' }
  | { readonly kind: 'refused'; readonly why: TryRefusal };

const refused = (why: TryRefusal): TryOutcome => ({ kind: 'refused', why });

/** Whether a key is the one that a client shows, byte for byte. */
const isShown = ({ publicKey }: ShellCandidate, { algo, data }: PublicKeyAuthContext['key']): boolean =>
  publicKey === `${algo} ${data.toString('base64')}`;

/**
 * Decides one try of a client: a public key that the container names and, where it signs, a signature of this very connection by it. Nothing tells a
 * container that is not there from a key that it does not name.
 */
export async function decideTry(
  context: AuthContext,
  { access, utils }: { readonly access: Pick<SshAccess, 'candidates'>; readonly utils: typeof ssh2.utils },
): Promise<TryOutcome> {
  if (context.method !== 'publickey') return refused('method');
  const { key, signature, blob, hashAlgo } = context;
  // Without one of its own, an RSA signature is made with SHA-1.
  if (key.algo === 'ssh-rsa' && hashAlgo !== 'sha256' && hashAlgo !== 'sha512') return refused('algorithm');
  const candidates = await access.candidates(context.username);
  const candidate = candidates.find((one) => isShown(one, key));
  if (candidate === undefined) return refused('key');
  if (signature === undefined || blob === undefined) return { kind: 'offered' };
  const parsed = utils.parseKey(candidate.publicKey);
  if (parsed instanceof Error || Array.isArray(parsed)) return refused('key');
  return parsed.verify(blob, signature, hashAlgo) === true ? { kind: 'granted', candidate } : refused('signature');
}

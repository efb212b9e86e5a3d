import { invalid, type Refusal } from '../access/rules.ts';

/** Longest text of a public key, its comment included. A key of 16,384 bits has 2,800 characters. */
const MAX_TEXT_LENGTH = 8192;
const MAX_NAME_LENGTH = 256;
/** Shorter ones can be broken. */
const MIN_RSA_BITS = 2048;
/** Larger ones cost the server too much. */
const MAX_RSA_BITS = 16_384;

const KEBAB = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
const CONTROL = /[\u0000-\u001f\u007f]/;
const LINE_END = /\r?\n$/;
const ONE_LINE = /^(\S+) +([A-Za-z0-9+/]+={0,2})(?: .*)?$/;

/** The types that are taken. */
const KEY_TYPES: readonly string[] = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa'];

/** Whether a text is the name of an SSH key: kebab-case. Source: Tinfoil Admin API, SSH keys. */
export const isSshKeyName = (name: string): boolean => name.length <= MAX_NAME_LENGTH && KEBAB.test(name);

/** Checks the name of an SSH key. */
export const checkSshKeyName = (name: string): Refusal | null =>
  isSshKeyName(name) ? null : invalid('name', `be kebab-case, of at most ${MAX_NAME_LENGTH} characters`);

const wrong = (rule: string): { readonly refusal: Refusal } => ({ refusal: invalid('public_key', rule) });

/** A public key as its line says, before anything is known of its bytes. */
export interface SshKeyLine {
  readonly type: string;
  readonly base64: string;
}

/**
 * The line of a public key, as `ssh-keygen` writes it: type, base64 and perhaps a comment, with or without its line break. Rejects: `invalid_request` (more
 * than a line, a private key, a certificate, options before the key, a type that is not taken). No refusal repeats the text.
 */
export function readSshKeyLine(text: string): SshKeyLine | { readonly refusal: Refusal } {
  if (text.length > MAX_TEXT_LENGTH) return wrong(`be at most ${MAX_TEXT_LENGTH} characters`);
  if (/PRIVATE KEY-----|PuTTY-User-Key-File/.test(text))
    return wrong('be a public key: this is a private one, which belongs to nobody but its owner');
  const line = text.replace(LINE_END, '');
  if (CONTROL.test(line) || !line.isWellFormed()) return wrong('be one line, without control characters');
  const [first = ''] = line.split(' ');
  if (/-cert-v\d+@/.test(first)) return wrong('be a plain key: certificates are not taken');
  if (!KEY_TYPES.includes(first)) {
    const isLater = KEY_TYPES.some((type) => line.includes(` ${type} `));
    return wrong(isLater ? 'begin with its type: options before it are not taken' : `be of one of the types ${KEY_TYPES.join(', ')}`);
  }
  const [, type, base64] = ONE_LINE.exec(line) ?? [];
  return type === undefined || base64 === undefined ? wrong('be its type, its base64 and, if wanted, a comment') : { type, base64 };
}

/** What the bytes of a public key say. `type` is the one that they name themselves; `rsaBits` is null for other types. */
export interface ParsedSshKey {
  readonly type: string;
  /** Type and base64, as every program writes them. */
  readonly publicKey: string;
  /** `SHA256:` and base64, as OpenSSH shows it. */
  readonly fingerprint: string;
  readonly rsaBits: number | null;
}

/** Checks what the bytes of a key say; null where they are no key. Rejects: `invalid_request`. */
export function checkParsedSshKey({ type, base64 }: SshKeyLine, parsed: ParsedSshKey | null): Refusal | null {
  if (parsed === null || parsed.type !== type) return invalid('public_key', `be a key of the type that it names: its bytes are no ${type}`);
  if (parsed.publicKey !== `${type} ${base64}`) return invalid('public_key', 'be plain base64 with nothing behind the key');
  if (parsed.rsaBits === null || (parsed.rsaBits >= MIN_RSA_BITS && parsed.rsaBits <= MAX_RSA_BITS)) return null;
  return invalid('public_key', `have ${MIN_RSA_BITS} to ${MAX_RSA_BITS} bits: this RSA key has ${parsed.rsaBits}`);
}

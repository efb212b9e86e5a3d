import { firstOf, invalid, type Refusal } from '../access/rules.ts';
import { CREDENTIAL_REGISTRIES, type CredentialRegistry } from './secret-records.ts';

/** Longest value of a secret, in bytes of UTF-8. */
export const MAX_SECRET_BYTES = 65_536;
const MAX_NAME_LENGTH = 256;
const MAX_USERNAME_LENGTH = 256;
const MAX_TOKEN_BYTES = 4096;
const MAX_KEY_BYTES = 16_384;

const UPPER_SNAKE = /^[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*$/;
const KEBAB = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
const CONTROL = /[\u0000-\u001f\u007f]/;

const bytesOf = (text: string): number => new TextEncoder().encode(text).length;

/** Whether a text is the name of a secret. Source: Tinfoil Admin API, secrets; reference section 1.4 for the letters. */
export const isSecretName = (name: string): boolean => name.length <= MAX_NAME_LENGTH && (UPPER_SNAKE.test(name) || KEBAB.test(name));

/** Checks the name of a secret. */
export const checkSecretName = (name: string): Refusal | null =>
  isSecretName(name) ? null : invalid('name', `be UPPER_SNAKE_CASE or kebab-case, of at most ${MAX_NAME_LENGTH} characters`);

/** Checks the value of a secret: it becomes a variable of the environment, byte for byte. */
export function checkSecretValue(value: string): Refusal | null {
  const bytes = bytesOf(value);
  if (bytes === 0 || bytes > MAX_SECRET_BYTES) return invalid('value', `have 1 to ${MAX_SECRET_BYTES} bytes`);
  if (value.includes('\u0000')) return invalid('value', 'not hold a NUL character');
  return value.isWellFormed() ? null : invalid('value', 'be text that UTF-8 can hold: it has half of a surrogate pair');
}

/** Whether a text names a registry that credentials may be kept for. */
export const isCredentialRegistry = (name: string): name is CredentialRegistry =>
  (CREDENTIAL_REGISTRIES as readonly string[]).includes(name);

/** What a caller gives for a registry: a name and a token, or the key of a service account as JSON text. Null: not given. */
export interface GivenCredentials {
  readonly username: string | null;
  readonly token: string | null;
  readonly key: string | null;
}

/** Credentials that keep the rules: whom they are for, and the secret part as the registry is told it. */
export interface CheckedCredentials {
  readonly username: string;
  readonly password: string;
}

const required = (field: string): Refusal => invalid(field, 'be given');

function checkUsername(username: string): Refusal | null {
  const isGood = username.length > 0 && username.length <= MAX_USERNAME_LENGTH && !CONTROL.test(username) && !username.includes(':');
  return isGood && username.isWellFormed()
    ? null
    : invalid('username', `have 1 to ${MAX_USERNAME_LENGTH} characters, and no colon or control characters`);
}

function checkToken(token: string): Refusal | null {
  const isGood = token.length > 0 && bytesOf(token) <= MAX_TOKEN_BYTES && !CONTROL.test(token) && token.isWellFormed();
  return isGood ? null : invalid('token', `have 1 to ${MAX_TOKEN_BYTES} bytes, and no control characters`);
}

/** The account that the key of a service account is for, or what is wrong with the key. */
function accountOf(key: string): string | Refusal {
  const wrong = (rule: string): Refusal => invalid('key', rule);
  if (bytesOf(key) > MAX_KEY_BYTES) return wrong(`be at most ${MAX_KEY_BYTES} bytes`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(key);
  } catch {
    return wrong('be the JSON key of a service account, as a string');
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed) || !key.isWellFormed()) {
    return wrong('be the JSON key of a service account, as a string');
  }
  const { type, client_email: email, private_key: privateKey } = parsed as Readonly<Record<string, unknown>>;
  if (type !== 'service_account') return wrong('have the type service_account');
  if (typeof email !== 'string' || checkUsername(email) !== null) return wrong('have a client_email');
  return typeof privateKey === 'string' && privateKey.length > 0 ? email : wrong('have a private_key');
}

/**
 * Checks what is given for a registry: `username` and `token`, or for gcr `key`. Rejects: `invalid_request` (a field that is missing, breaks a rule, or
 * belongs to another registry). Source: Tinfoil Admin API, registry credentials.
 */
export function checkCredentials(
  registry: CredentialRegistry,
  { username, token, key }: GivenCredentials,
): Refusal | { readonly credentials: CheckedCredentials } {
  if (registry === 'gcr') {
    if (username !== null || token !== null) return invalid(username === null ? 'token' : 'username', 'be left out: gcr takes key');
    if (key === null) return required('key');
    const account = accountOf(key);
    return typeof account === 'string' ? { credentials: { username: account, password: key } } : account;
  }
  if (key !== null) return invalid('key', `be left out: ${registry} takes username and token`);
  if (username === null) return required('username');
  if (token === null) return required('token');
  return firstOf(checkUsername(username), checkToken(token)) ?? { credentials: { username, password: token } };
}

import type { ApiKey, KeyKind } from '../records.ts';

/** How a credential of each kind begins. Source: architecture section 5. */
export const KEY_PREFIXES: Readonly<Record<KeyKind, string>> = {
  admin: 'admin_',
  inference: 'tk_',
  management: 'mk_',
  tenant: 'cyc_live_',
};

/** Random base 62 characters after the prefix. Inference keys have 34 characters in all, like the published example. */
export const KEY_RANDOM_LENGTH: Readonly<Record<KeyKind, number>> = { admin: 40, inference: 31, management: 40, tenant: 40 };

/** Characters of a credential that its mask shows, its prefix among them. Tenant keys are told apart by more. Source: Cycles governance, `key_prefix`. */
const SHOWN_CHARACTERS = 8;
const SHOWN_OF_TENANT_KEY = 14;

const shownOf = (text: string): number => (text.startsWith(KEY_PREFIXES.tenant) ? SHOWN_OF_TENANT_KEY : SHOWN_CHARACTERS);

/** What others than its creator see of a credential: its first eight characters (of a tenant key 14), then a star for each one left out. */
export function maskOf(plaintext: string): string {
  const shown = shownOf(plaintext);
  return plaintext.slice(0, shown) + '*'.repeat(Math.max(0, plaintext.length - shown));
}

/** The characters of a tenant key that its mask shows, by which people know it. */
export const shownPrefix = (mask: string): string => mask.slice(0, shownOf(mask)).replace(/\*+$/, '');

const SHOWN = /^[A-Za-z0-9_]{8}(?:[A-Za-z0-9_]{6}(?=\*))?/;

/**
 * The value that follows a key's present one when it is rotated: as long, and of new characters after those that the mask shows. So
 * the mask by which people know the key stays, and nothing is lost, for what the mask shows was never secret.
 *
 * `base62` gives that many random characters. A mask that does not show a beginning of our own is not kept.
 */
export function rotatedPlaintext(key: Pick<ApiKey, 'kind' | 'mask'>, base62: (length: number) => string): string {
  const prefix = KEY_PREFIXES[key.kind];
  const shown = SHOWN.exec(key.mask)?.[0] ?? '';
  const begin = shown.startsWith(prefix) ? shown : prefix;
  return begin + base62(prefix.length + KEY_RANDOM_LENGTH[key.kind] - begin.length);
}

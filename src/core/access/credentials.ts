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

/** Characters of a credential that its mask shows, its prefix among them. */
const SHOWN_CHARACTERS = 8;

/** What others than its creator see of a credential: its first eight characters, then a star for each one left out. */
export const maskOf = (plaintext: string): string =>
  plaintext.slice(0, SHOWN_CHARACTERS) + '*'.repeat(Math.max(0, plaintext.length - SHOWN_CHARACTERS));

const SHOWN = /^[A-Za-z0-9_]{8}/;

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

import type { KeyKind } from '../records.ts';

/** How a credential of each kind begins. Source: architecture section 5. */
export const KEY_PREFIXES: Readonly<Record<KeyKind, string>> = {
  admin: 'admin_',
  inference: 'tk_',
  management: 'mk_',
  tenant: 'cyc_live_',
};

/** Random base 62 characters after the prefix. Inference keys have 34 characters in all, like the published example. */
export const KEY_RANDOM_LENGTH: Readonly<Record<KeyKind, number>> = { admin: 40, inference: 31, management: 40, tenant: 40 };

const SHOWN_CHARACTERS = 8;

/** What others than its creator see of a credential: its first eight characters, then a star for each one left out. */
export const maskOf = (plaintext: string): string =>
  plaintext.slice(0, SHOWN_CHARACTERS) + '*'.repeat(Math.max(0, plaintext.length - SHOWN_CHARACTERS));

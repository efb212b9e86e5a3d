import type { KeyHasher } from '../ports/secret-box.ts';

/** Where the next page of a list begins, as a text that only we can make. */
export interface PageCursors {
  /** The cursor behind the item at `position` of the list named `list`. Any text will do for either. */
  issue(list: string, position: string): string;
  /** The position of a cursor; null for one of another list, and for a text that was never issued. */
  read(list: string, cursor: string): string | null;
}

/** Longer than any cursor that is issued; hashing what somebody sends costs time. */
const MAX_CURSOR_LENGTH = 4096;

/**
 * Makes cursors of the position itself and a keyed hash of it and its list. They need no look-up, stay good whatever is added to or
 * removed from the list, on every node and over restarts, and let nobody look where a list did not lead.
 */
export function makePageCursors(hasher: KeyHasher): PageCursors {
  // No credential begins like this, so nobody learns the hash of one.
  const issue = (list: string, position: string): string =>
    `${encode(position)}.${hasher.hash(`cursor ${JSON.stringify([list, position])}`)}`;
  return {
    issue,
    read: (list, cursor) => {
      if (cursor.length > MAX_CURSOR_LENGTH) return null;
      const position = decode(cursor.split('.', 1)[0] ?? '');
      return position !== null && cursor === issue(list, position) ? position : null;
    },
  };
}

const encode = (text: string): string => new TextEncoder().encode(text).toBase64({ alphabet: 'base64url', omitPadding: true });

function decode(text: string): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.fromBase64(text, { alphabet: 'base64url' }));
  } catch {
    return null;
  }
}

/** For how long a key's word about its models is not taken after it was wrong. */
const DISTRUST_MS = 3_600_000;
/** Keys that are remembered at most: beyond them those without calls that were heard of least lately are forgotten. */
const MAX_KEYS = 10_000;

/** What the answer of a call shows of its caller's word: that it was so, that it was not, or nothing, since the call was cut short. */
export type WordShown = 'true' | 'false' | 'nothing';

/** The word of a key about the model of one call. */
export interface ModelWord {
  /** Whether the call may be held for the model that its caller names. */
  readonly isTaken: boolean;
  /** Says what the answer showed. Only the first telling counts; none: it did not say, and the word of the key stands as it stood. */
  show(shown: WordShown): void;
  /** Says that the call is over, however it ended. May be said again. */
  end(): void;
}

/** Which keys say of their sealed calls what is so, as far as this process knows. */
export interface ModelTrust {
  /** Takes or declines a key's word for one call. A word that is taken counts as on its way until its `end`. */
  begin(keyId: string): ModelWord;
}

interface Known {
  untrustedUntilMs: number;
  onTheirWay: number;
  proven: number;
}

/**
 * Makes a {@link ModelTrust}. What a sealed body asks for shows only in its answer, so that a wrong word may cost more than was held for it.
 * That is bounded in two ways. At once a key's word is taken for one call more than have proven true: a wrong name sent with a thousand calls
 * at once is held too low for no more of them than were right before. And a word that was wrong is not taken for an hour, after which the key
 * begins anew. A call that was cut short, so that nothing shows, uses up a proven one, else its caller might lie and leave each time.
 */
export function makeModelTrust({ elapsedMs }: { readonly elapsedMs: () => number }): ModelTrust {
  const keys = new Map<string, Known>();

  /** What is known of a key, as the one that was heard of last. */
  const heardOf = (keyId: string): Known => {
    const known = keys.get(keyId) ?? { untrustedUntilMs: -Infinity, onTheirWay: 0, proven: 0 };
    keys.delete(keyId);
    keys.set(keyId, known);
    return known;
  };
  const forget = (): void => {
    if (keys.size <= MAX_KEYS) return;
    for (const [keyId, { onTheirWay }] of keys) {
      if (onTheirWay > 0) continue;
      keys.delete(keyId);
      return;
    }
  };
  const distrust = (known: Known): void => {
    known.proven = 0;
    known.untrustedUntilMs = elapsedMs() + DISTRUST_MS;
  };

  return {
    begin: (keyId) => {
      const known = heardOf(keyId);
      const isTaken = known.untrustedUntilMs <= elapsedMs() && known.onTheirWay <= known.proven;
      if (isTaken) known.onTheirWay += 1;
      forget();
      let isOver = false;
      let hasShown = false;
      return {
        isTaken,
        show: (shown) => {
          if (hasShown) return;
          hasShown = true;
          if (shown === 'false') return distrust(heardOf(keyId));
          if (!isTaken) return;
          if (shown === 'true') known.proven += 1;
          else if (known.proven === 0) distrust(known);
          else known.proven -= 1;
        },
        end: () => {
          if (isOver) return;
          isOver = true;
          if (isTaken) known.onTheirWay -= 1;
        },
      };
    },
  };
}

/** The word of a call that costs nothing, whatever it asks for. */
export const FREE_WORD: ModelWord = { isTaken: true, show: () => undefined, end: () => undefined };

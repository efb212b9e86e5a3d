import type { SealedKeys } from './sealed-keys.ts';
import { makeSeenKeys } from './seen-keys.ts';

/** What became of a sealed body. `refused`: it is none, or cannot be opened; `replayed`: it was taken before. */
export type SealedOutcome = 'opened' | 'stale' | 'refused' | 'replayed';

/** This server as the end of sealed calls: what all its surfaces and listeners share. */
export interface SealedEnd extends Pick<SealedKeys, 'published' | 'open'> {
  /** Whether a body with this encapsulated key (hex, lower case) was not taken before by this process, as far as it remembers. */
  isNew(encapsulatedKey: string): boolean;
  /**
   * Asks to keep so many bytes of a caller whom nobody knows yet; false where strangers hold too much already. What is granted is given back by
   * {@link SealedEnd.giveBack}.
   */
  mayKeep(bytes: number): boolean;
  giveBack(bytes: number): void;
  count(outcome: SealedOutcome): void;
}

/** Encapsulated keys that are remembered, at least: several minutes at a thousand calls a second are too many, a day's calls of an office are not. */
const SEEN_KEYS = 65_536;
/** The longest frame that is read before its caller is known. Most prompts fit. */
const MAX_STRANGER_FRAME_BYTES = 1_048_576;
/** What all callers whom nobody knows yet may make this process keep. */
const MAX_STRANGER_BYTES = 33_554_432;

/** Makes what surfaces need to be the end of sealed calls. */
export function makeSealedEnd(deps: { readonly keys: SealedKeys; readonly count: (outcome: SealedOutcome) => void }): SealedEnd {
  const { keys, count } = deps;
  const seen = makeSeenKeys({ atLeast: SEEN_KEYS });
  let strangerBytes = 0;
  return {
    published: () => keys.published(),
    open: (...message) => keys.open(...message),
    isNew: (encapsulatedKey) => seen.isNew(encapsulatedKey),
    mayKeep: (bytes) => {
      if (bytes > MAX_STRANGER_FRAME_BYTES || strangerBytes + bytes > MAX_STRANGER_BYTES) return false;
      strangerBytes += bytes;
      return true;
    },
    giveBack: (bytes) => {
      strangerBytes -= bytes;
    },
    count,
  };
}

import type { Outcome } from '../core/rejection.ts';

/** Two master keys by their ids: the one whose values are to be sealed anew, and the one to seal them with. */
export interface MasterKeyPair {
  readonly fromId: string;
  readonly toId: string;
}

/** The master keys that this process has at hand, as a change of the one that seals needs them. */
export interface MasterKeys {
  /**
   * Which key takes the place of which. A new key is on disk when this resolves; one that an interrupted change left there is taken again.
   *
   * Rejects: `conflict` (this process cannot make a key by itself; the message says what to do instead).
   */
  prepare(): Promise<Outcome<MasterKeyPair>>;
  /** The id of the key that a value names; null where it names none. */
  keyIdOf(sealed: string): string | null;
  /** Opens a value with whichever key fits; throws where none does. */
  open(sealed: string, identity: string): string;
  /** Seals with the key `id`, whichever seals otherwise. */
  sealWith(id: string, plaintext: string, identity: string): string;
  /** Lets the key `id` seal everything from now on. */
  use(id: string): void;
  /** Ends the change: nothing is sealed with the key before any more. What was kept only for it is put away, durably. */
  finish(pair: MasterKeyPair): void;
}

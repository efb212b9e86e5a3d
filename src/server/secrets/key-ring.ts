import type { SecretBox } from '../../ports/secret-box.ts';
import { type MasterKey, openWith, SealBroken, sealingKeyOf, sealWith } from './aes-secret-box.ts';

/** A secret box over several master keys, of which one seals and every one opens. */
export interface KeyRing extends SecretBox {
  /** The id of the key that seals. */
  readonly sealingId: string;
  /** The ids of the keys at hand, in the order in which they were given, whichever seals. */
  readonly ids: readonly string[];
  /** Puts a key beside the others. One that is there already changes nothing. */
  add(key: MasterKey): void;
  /** Lets the key `id` seal from now on; returns whether it is at hand, or found. */
  use(id: string): boolean;
  /**
   * Takes every key but the one that seals out of use: they seal nothing more and are not at hand any more. They still open, for as long
   * as the process lives, what somebody read before it was sealed anew: a call may keep a record for as long as its upstreams take.
   */
  retireOthers(): void;
  /** Seals with the key `id`, whichever seals now. Throws where it is not at hand. */
  sealWith(id: string, plaintext: string, identity: string): string;
}

/**
 * Makes a {@link KeyRing} of `keys`, of which the first seals.
 *
 * A value that names its key is opened with that one; of a value that names none, as the first release sealed them, every key is tried.
 * A key that is asked for and not at hand is looked for by `find`: another process on the same folder may have made it. `open` throws a
 * {@link SealBroken}.
 */
export function makeKeyRing(keys: readonly [MasterKey, ...MasterKey[]], find: () => readonly MasterKey[] = () => []): KeyRing {
  const ring = new Map(keys.map((key) => [key.id, key]));
  const retired = new Map<string, MasterKey>();
  let [sealing] = keys;

  const add = (key: MasterKey): void => void (ring.has(key.id) || ring.set(key.id, key));
  const keyAtHand = (id: string): MasterKey | undefined => {
    if (!ring.has(id)) for (const key of find()) if (key.id === id) add(key);
    return ring.get(id);
  };
  const keyOf = (id: string): MasterKey => {
    const key = keyAtHand(id);
    if (key === undefined) throw new SealBroken(`it was sealed with the master key ${id}, which is not at hand`);
    return key;
  };
  const openUnnamed = (sealed: string, identity: string): string => {
    for (const key of [...ring.values(), ...retired.values()]) {
      if (key === sealing) continue;
      try {
        return openWith(key, sealed, identity);
      } catch {
        // Another one may open it; the last word has the key that seals.
      }
    }
    return openWith(sealing, sealed, identity);
  };

  return {
    get sealingId() {
      return sealing.id;
    },
    get ids() {
      return [...ring.keys()];
    },
    add,
    use: (id) => {
      const key = keyAtHand(id);
      if (key !== undefined) sealing = key;
      return key !== undefined;
    },
    retireOthers: () => {
      for (const [id, key] of ring) {
        if (key === sealing) continue;
        ring.delete(id);
        retired.set(id, key);
      }
    },
    seal: (plaintext, identity) => sealWith(sealing, plaintext, identity),
    sealWith: (id, plaintext, identity) => sealWith(keyOf(id), plaintext, identity),
    open: (sealed, identity) => {
      const id = sealingKeyOf(sealed);
      return id === null ? openUnnamed(sealed, identity) : openWith(retired.get(id) ?? keyOf(id), sealed, identity);
    },
  };
}

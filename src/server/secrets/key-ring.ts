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
  /** Lets the key `id` seal from now on; returns whether it is at hand. */
  use(id: string): boolean;
  /** Takes every key away but the one that seals. */
  keepSealingOnly(): void;
  /** Seals with the key `id`, whichever seals now. Throws where it is not at hand. */
  sealWith(id: string, plaintext: string, identity: string): string;
}

/**
 * Makes a {@link KeyRing} of `keys`, of which the first seals.
 *
 * A value that names its key is opened with that one; of a value that names none, as the first release sealed them, every key is tried.
 * `open` throws a {@link SealBroken}.
 */
export function makeKeyRing(keys: readonly [MasterKey, ...MasterKey[]]): KeyRing {
  const ring = new Map(keys.map((key) => [key.id, key]));
  let [sealing] = keys;

  const keyOf = (id: string): MasterKey => {
    const key = ring.get(id);
    if (key === undefined) throw new SealBroken(`it was sealed with the master key ${id}, which is not at hand`);
    return key;
  };
  const openUnnamed = (sealed: string, identity: string): string => {
    for (const key of ring.values()) {
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
    add: (key) => void (ring.has(key.id) || ring.set(key.id, key)),
    use: (id) => {
      const key = ring.get(id);
      if (key !== undefined) sealing = key;
      return key !== undefined;
    },
    keepSealingOnly: () => {
      for (const id of ring.keys()) if (id !== sealing.id) ring.delete(id);
    },
    seal: (plaintext, identity) => sealWith(sealing, plaintext, identity),
    sealWith: (id, plaintext, identity) => sealWith(keyOf(id), plaintext, identity),
    open: (sealed, identity) => {
      const id = sealingKeyOf(sealed);
      return id === null ? openUnnamed(sealed, identity) : openWith(keyOf(id), sealed, identity);
    },
  };
}

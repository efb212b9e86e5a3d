/** Encapsulated keys of bodies that were taken: one that comes again is a body that somebody has copied. */
export interface SeenKeys {
  /** Whether the key was not seen before; from then on it is. */
  isNew(encapsulatedKey: string): boolean;
}

/**
 * Makes a memory of at least the latest `atLeast` keys and at most twice as many, by generations: when one is full, the one before it is
 * forgotten. A key takes about a hundred bytes.
 */
export function makeSeenKeys({ atLeast }: { readonly atLeast: number }): SeenKeys {
  let young = new Set<string>();
  let old = new Set<string>();
  return {
    isNew: (encapsulatedKey) => {
      if (young.has(encapsulatedKey) || old.has(encapsulatedKey)) return false;
      if (young.size >= atLeast) {
        old = young;
        young = new Set();
      }
      young.add(encapsulatedKey);
      return true;
    },
  };
}

/** For how long a key's word about its models is not taken after it was wrong. */
const DISTRUST_MS = 3_600_000;
/** Keys that are remembered at most: beyond them the oldest are forgiven early. */
const MAX_KEYS = 10_000;

/** Which keys say of their sealed calls what is so. */
export interface ModelTrust {
  /** Whether a key's word has held within the last hour, as far as this process knows. */
  mayBelieve(keyId: string): boolean;
  /** Says that it has not: until an hour is over its calls are held for the dearest model. */
  onMismatch(keyId: string): void;
}

/**
 * Makes a {@link ModelTrust}. What a sealed body asks for shows only in its answer, so one wrong word may cost more than was held for it; this
 * keeps a caller from doing so again and again, or many times at once after the first answer.
 */
export function makeModelTrust({ elapsedMs }: { readonly elapsedMs: () => number }): ModelTrust {
  const until = new Map<string, number>();
  return {
    mayBelieve: (keyId) => (until.get(keyId) ?? -Infinity) <= elapsedMs(),
    onMismatch: (keyId) => {
      until.delete(keyId);
      until.set(keyId, elapsedMs() + DISTRUST_MS);
      const [oldest] = until.keys();
      if (until.size > MAX_KEYS && oldest !== undefined) until.delete(oldest);
    },
  };
}

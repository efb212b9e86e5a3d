import type { PlainJson } from '../json/plain-json.ts';

/** The id of the setting that holds the keys that sealed bodies are opened with. */
export const SEALED_KEYS_SETTING = 'sealed-keys';

/** A key that clients seal for. `publicKey` in hex; `replacedAtMs` is when the next one took its place, null while none has. */
export interface SealedKey {
  readonly id: string;
  readonly publicKey: string;
  readonly madeAtMs: number;
  readonly replacedAtMs: number | null;
}

/**
 * The keys of all nodes, the newest first. Each change has the next `version`, from 1 on. `sealed` is what the master key has sealed: a JSON
 * object of private keys in hex by the ids of their keys.
 */
export interface SealedKeyRing {
  readonly version: number;
  readonly keys: readonly SealedKey[];
  readonly sealed: string;
}

/** How long keys are good for, in milliseconds. `overlapMs` is at most `rotateEveryMs`, so that two keys open at most. */
export interface SealedKeyPolicy {
  /** Clients are told of a new key when the one before is so old. */
  readonly rotateEveryMs: number;
  /** The key before goes on opening for so long. */
  readonly overlapMs: number;
  /** After that it opens nothing; for so long its clients are still told to fetch the new one. */
  readonly recogniseMs: number;
}

/** What holds where nothing is declared: a day, an hour more, and a week of being recognised. */
export const DEFAULT_SEALED_KEYS: SealedKeyPolicy = { rotateEveryMs: 86_400_000, overlapMs: 3_600_000, recogniseMs: 604_800_000 };

/** Keys that are only recognised are kept up to this number, so that a body that nobody can open costs a bounded number of tries. */
const MAX_RECOGNISED = 8;

/** What each key is for at a moment. */
export interface KeyUses {
  /** The one that clients are told; null where a new one is due. */
  readonly published: SealedKey | null;
  /** Those that open. */
  readonly opening: readonly SealedKey[];
  /** Those whose clients are told that their key is stale. */
  readonly recognised: readonly SealedKey[];
  /** Whether some of the ring are of no use any more. */
  readonly hasExpired: boolean;
}

/** Sorts the keys of a ring, or of none, by what they are for at `nowMs`. */
export function usesOf(keys: readonly SealedKey[], nowMs: number, policy: SealedKeyPolicy): KeyUses {
  const untilMs = ({ replacedAtMs }: SealedKey): number => (replacedAtMs === null ? Infinity : replacedAtMs + policy.overlapMs);
  const [newest] = keys;
  const isDue = newest === undefined || nowMs - newest.madeAtMs >= policy.rotateEveryMs;
  const opening = keys.filter((key) => nowMs < untilMs(key));
  const recognised = keys.filter((key) => nowMs >= untilMs(key) && nowMs < untilMs(key) + policy.recogniseMs).slice(0, MAX_RECOGNISED);
  return { published: isDue ? null : newest, opening, recognised, hasExpired: opening.length + recognised.length < keys.length };
}

/** The keys after `made` has taken the newest one's place at `nowMs`; without it only those of no use go. */
export function keysAfter(
  keys: readonly SealedKey[],
  change: { readonly made: SealedKey | null; readonly nowMs: number; readonly policy: SealedKeyPolicy },
): readonly SealedKey[] {
  const { made, nowMs, policy } = change;
  const replaced = made === null ? keys : keys.map((key) => (key.replacedAtMs === null ? { ...key, replacedAtMs: nowMs } : key));
  const { opening, recognised } = usesOf(replaced, nowMs, policy);
  return [...(made === null ? [] : [made]), ...opening, ...recognised];
}

/** The ring that a setting holds; null where it holds none. */
export function readKeyRing(value: PlainJson | undefined): SealedKeyRing | null {
  if (typeof value !== 'object' || value === null || !('keys' in value) || !('version' in value)) return null;
  return value as unknown as SealedKeyRing;
}

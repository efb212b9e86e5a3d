import type { RecordStore } from '../ports/record-store.ts';

/** Which runs of the program may still hold calls. */
export interface LiveOwners {
  /** Says that this run lives, and hears of the others. Throws a `Fault` where the store does. */
  beat(): Promise<void>;
  /** The runs that may live, by what the last beats heard; this one is always among them. */
  current(): readonly string[];
}

/** A run that has not been heard of for this long is dead. */
const DEAD_AFTER_MS = 10_000;
/** Longer than any run lasts: with it, every run that ever said something counts as alive. */
const EVER_MS = 10 * 365 * 86_400_000;

/**
 * Makes the {@link LiveOwners} of the run `ownerId`.
 *
 * Where the store is not shared, this run is the only one: no other process can have it open. Where it is shared, a run is taken for
 * dead only after this one has itself reached the store without a failure for ten seconds: right after an outage nobody's last beat
 * is young. `deadOwnerId` is known to be dead from the start. Lengths in milliseconds.
 */
export function makeLiveOwners(options: {
  records: Pick<RecordStore, 'heartbeat'>;
  ownerId: string;
  deadOwnerId: string | null;
  isShared: boolean;
  /** A clock that never goes back, for measuring lengths only. */
  elapsedMs: () => number;
}): LiveOwners {
  const { records, ownerId, deadOwnerId, isShared, elapsedMs } = options;
  let steadySinceMs: number | null = null;
  let heard: readonly string[] = [ownerId];
  if (!isShared) return { beat: () => Promise.resolve(), current: () => [ownerId] };

  const beat = async (): Promise<void> => {
    try {
      const askedAtMs = elapsedMs();
      const isSteady = steadySinceMs !== null && askedAtMs - steadySinceMs >= DEAD_AFTER_MS;
      heard = await records.heartbeat({ ownerId, withinMs: isSteady ? DEAD_AFTER_MS : EVER_MS });
      steadySinceMs ??= askedAtMs;
    } catch (error) {
      steadySinceMs = null;
      throw error;
    }
  };
  return { beat, current: () => [...heard.filter((owner) => owner !== deadOwnerId && owner !== ownerId), ownerId] };
}

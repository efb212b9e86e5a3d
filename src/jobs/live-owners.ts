import type { RecordStore } from '../ports/record-store.ts';

/** Which runs of the program may still hold calls. */
export interface LiveOwners {
  /** Says that this run lives, and hears of the others. Throws a `Fault` where the store does. */
  beat(): Promise<void>;
  /** The runs that may live, by what the last beats heard; this one is always among them. */
  current(): readonly string[];
  /** How long ago the store last answered a beat, in milliseconds; 0 where the store is not shared. */
  silentMs(): number;
}

/** How long this run must have reached the store without a failure before it takes another for dead. */
const STEADY_MS = 10_000;
/** A silent run has at least this long, and beyond its holds' time and grace this much more. */
const MIN_SILENCE_MS = 10_000;
const SILENCE_MARGIN_MS = 5000;
/** Longer than any run lasts: with it, every run that ever said something counts as alive. */
const EVER_MS = 10 * 365 * 86_400_000;

/**
 * Makes the {@link LiveOwners} of the run `ownerId`.
 *
 * Where the store is not shared, this run is the only one: no other process can have it open. Where it is shared, a run is taken for
 * dead only after this one has itself reached the store without a failure for ten seconds: right after an outage nobody's last beat
 * is young. A run is dead when nothing was heard of it for longer than a hold lives that nobody extends (`holdMs`: time to live and
 * grace): until then a node that was only paused finds its calls as it left them. `deadOwnerId` is known to be dead from the start. Lengths in milliseconds.
 */
export function makeLiveOwners(options: {
  records: Pick<RecordStore, 'heartbeat'>;
  ownerId: string;
  deadOwnerId: string | null;
  isShared: boolean;
  holdMs: number;
  /** A clock that never goes back, for measuring lengths only. */
  elapsedMs: () => number;
}): LiveOwners {
  const { records, ownerId, deadOwnerId, isShared, elapsedMs } = options;
  const deadAfterMs = Math.max(MIN_SILENCE_MS, options.holdMs + SILENCE_MARGIN_MS);
  let steadySinceMs: number | null = null;
  let heard: readonly string[] = [ownerId];
  let heardAtMs = -Infinity;
  if (!isShared) return { beat: () => Promise.resolve(), current: () => [ownerId], silentMs: () => 0 };

  const beat = async (): Promise<void> => {
    try {
      const askedAtMs = elapsedMs();
      const isSteady = steadySinceMs !== null && askedAtMs - steadySinceMs >= STEADY_MS;
      heard = await records.heartbeat({ ownerId, withinMs: isSteady ? deadAfterMs : EVER_MS });
      heardAtMs = askedAtMs;
      steadySinceMs ??= askedAtMs;
    } catch (error) {
      steadySinceMs = null;
      throw error;
    }
  };
  return {
    beat,
    current: () => [...heard.filter((owner) => owner !== deadOwnerId && owner !== ownerId), ownerId],
    silentMs: () => elapsedMs() - heardAtMs,
  };
}

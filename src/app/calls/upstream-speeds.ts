import { noteSpeed, readSpeeds, speedAt, writeSpeeds, type Speed, type SpeedSample } from '../../core/routing/speed.ts';
import type { MeasuredSpeed } from '../../core/routing/rank-by-preference.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import type { Clock } from '../../ports/clock.ts';

/** How fast upstreams have been with models, as far as the calls of this process tell, and those before its start. */
export interface UpstreamSpeeds {
  /** What is known now; null where nothing recent is. */
  speedOf(upstreamId: string, modelId: string): MeasuredSpeed | null;
  /** Takes in one answer. */
  note(upstreamId: string, modelId: string, sample: SpeedSample): void;
  /** Takes what was kept, where nothing newer is known. */
  load(kept: PlainJson | undefined): void;
  /** What to keep; null where nothing came in since `done` was told that the last of it was kept. */
  unsaved(): { readonly value: PlainJson; done(): void } | null;
}

/** Neither kind of id has a space. */
const nameOf = (upstreamId: string, modelId: string): string => `${upstreamId} ${modelId}`;

/** Makes {@link UpstreamSpeeds} that know nothing. */
export function makeUpstreamSpeeds({ clock }: { readonly clock: Clock }): UpstreamSpeeds {
  const speeds = new Map<string, Speed>();
  let changes = 0;
  let saved = 0;
  return {
    speedOf: (upstreamId, modelId) => speedAt(speeds.get(nameOf(upstreamId, modelId)), clock.nowMs()),
    note: (upstreamId, modelId, sample) => {
      const name = nameOf(upstreamId, modelId);
      speeds.set(name, noteSpeed(speeds.get(name), sample, clock.nowMs()));
      changes += 1;
    },
    load: (kept) => {
      for (const [name, speed] of readSpeeds(kept)) if ((speeds.get(name)?.atMs ?? -Infinity) < speed.atMs) speeds.set(name, speed);
    },
    unsaved: () => {
      const upTo = changes;
      if (upTo === saved) return null;
      return { value: writeSpeeds(speeds, clock.nowMs()), done: () => void (saved = upTo) };
    },
  };
}

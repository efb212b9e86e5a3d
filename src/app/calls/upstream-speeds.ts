import { noteSpeed, readSpeeds, speedAt, writeSpeeds, type Speed, type SpeedSample } from '../../core/routing/speed.ts';
import type { MeasuredSpeed } from '../../core/routing/rank-by-preference.ts';
import type { PlainJson } from '../../core/json/plain-json.ts';
import type { Clock } from '../../ports/clock.ts';

/** How fast upstreams have been with models, as far as the calls of this process tell, and those before its start. */
export interface UpstreamSpeeds {
  /** What is known now of the upstreams of a model, each by its id; null where nothing recent is. */
  speedsOf(modelId: string): (upstreamId: string) => MeasuredSpeed | null;
  /** What is known now of an upstream, by the ids of its models, in their order. */
  report(upstreamId: string): readonly { readonly modelId: string; readonly speed: MeasuredSpeed }[];
  /** Takes in one answer. */
  note(upstreamId: string, modelId: string, sample: SpeedSample): void;
  /** Takes what was kept, where nothing newer is known. */
  load(kept: PlainJson | undefined): void;
  /** What to keep; null where nothing came in since `done` was told that the last of it was kept. */
  unsaved(): { readonly value: PlainJson; done(): void } | null;
}

/** How one is named where they are kept; neither kind of id has a space. */
const nameOf = (upstreamId: string, modelId: string): string => `${upstreamId} ${modelId}`;

/** Makes {@link UpstreamSpeeds} that know nothing. */
export function makeUpstreamSpeeds({ clock }: { readonly clock: Clock }): UpstreamSpeeds {
  // By model and then by upstream, so that ranking fifty upstreams of a model puts no names together.
  const models = new Map<string, Map<string, Speed>>();
  let changes = 0;
  let saved = 0;
  const upstreamsOf = (modelId: string): Map<string, Speed> => {
    const known = models.get(modelId) ?? new Map<string, Speed>();
    models.set(modelId, known);
    return known;
  };
  return {
    speedsOf: (modelId) => {
      const nowMs = clock.nowMs();
      const known = models.get(modelId);
      return (upstreamId) => speedAt(known?.get(upstreamId), nowMs);
    },
    report: (upstreamId) => {
      const nowMs = clock.nowMs();
      const found = [...models].flatMap(([modelId, known]) => {
        const speed = speedAt(known.get(upstreamId), nowMs);
        return speed === null ? [] : { modelId, speed };
      });
      return found.sort((a, b) => (a.modelId < b.modelId ? -1 : 1));
    },
    note: (upstreamId, modelId, sample) => {
      const known = upstreamsOf(modelId);
      known.set(upstreamId, noteSpeed(known.get(upstreamId), sample, clock.nowMs()));
      changes += 1;
    },
    load: (kept) => {
      for (const [name, speed] of readSpeeds(kept)) {
        const [upstreamId = '', modelId = ''] = name.split(' ');
        const known = upstreamsOf(modelId);
        if ((known.get(upstreamId)?.atMs ?? -Infinity) < speed.atMs) known.set(upstreamId, speed);
      }
    },
    unsaved: () => {
      const upTo = changes;
      if (upTo === saved) return null;
      const all = [...models].flatMap(([modelId, known]) => [...known].map(([id, speed]) => [nameOf(id, modelId), speed] as const));
      return { value: writeSpeeds(new Map(all), clock.nowMs()), done: () => void (saved = upTo) };
    },
  };
}

import { newMeter, type ContainerMeter } from '../../core/containers/container-meter.ts';
import { sampleLevelMs, sampleSeries, type SamplePoint } from '../../core/containers/container-samples.ts';
import { accepted, type Outcome } from '../../core/rejection.ts';
import { windowRange, type UsageWindow } from '../../core/usage/windows.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { ContainerLookups } from './container-reads.ts';

/** What containers use of their hosts, and what that came to. */
export interface ReadContainerUse {
  /** A point for each bucket of the window, the oldest first. Rejects `not_found`. */
  metrics(tenantId: string, id: string, window: UsageWindow): Promise<Outcome<SamplePoint[]>>;
  /** What was metered of it so far. Rejects `not_found`. */
  meter(tenantId: string, id: string): Promise<Outcome<ContainerMeter>>;
}

/** Makes the {@link ReadContainerUse}. */
export function makeReadContainerUse(deps: {
  readonly records: Pick<RecordStore, 'record' | 'containerSamples'>;
  readonly lookups: Pick<ContainerLookups, 'container'>;
  readonly clock: Clock;
}): ReadContainerUse {
  const { records, lookups, clock } = deps;
  return {
    metrics: async (tenantId, id, window) => {
      const found = await lookups.container(tenantId, id);
      if (!found.ok) return found;
      const nowMs = clock.nowMs();
      const { fromMs } = windowRange(window, nowMs);
      const buckets = await records.containerSamples({ containerId: id, levelMs: sampleLevelMs(window.intervalMs), fromMs });
      return accepted(sampleSeries(window, buckets, nowMs));
    },
    meter: async (tenantId, id) => {
      const found = await lookups.container(tenantId, id);
      if (!found.ok) return found;
      return accepted((await records.record('container-meter', id)) ?? newMeter(found.value));
    },
  };
}

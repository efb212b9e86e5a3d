import type { EventServices } from '../app/events/event-services.ts';
import { LOOK_EVERY_MS } from '../app/events/watch-rates.ts';
import type { Log } from '../ports/log.ts';
import type { Jobs } from './jobs.ts';
import { startJob } from './start-job.ts';

const SECOND_MS = 1000;
/** An event is on its way that soon after its cause is durable. */
const HAND_OUT_EVERY_MS = 200;
const DELIVER_EVERY_MS = 500;
const FLUSH_EVERY_MS = 5 * SECOND_MS;
const LATENCY_EVERY_MS = 60 * SECOND_MS;

/** What the jobs about events need: the services, and what only the server can tell of itself. */
export interface EventJobDeps {
  readonly services: EventServices;
  readonly watchStore: () => Promise<void>;
  readonly lookAtLatency: () => Promise<void>;
  readonly log: Log;
}

/** Starts what hands out, delivers, tells and watches. */
export function startEventJobs({ services, watchStore, lookAtLatency, log }: EventJobDeps): Jobs {
  const deliver = startJob({ name: 'deliver-webhooks', everyMs: DELIVER_EVERY_MS, run: () => services.dispatcher.run(), log });
  const tellFailures = startJob({ name: 'tell-webhook-failures', everyMs: SECOND_MS, run: services.tellFailures, log });
  services.wakes.deliver = () => deliver.wake();
  services.wakes.tellFailures = () => tellFailures.wake();
  const jobs = [
    deliver,
    tellFailures,
    startJob({ name: 'hand-out-events', everyMs: HAND_OUT_EVERY_MS, run: services.handOut, log }),
    startJob({ name: 'tell-key-expiries', everyMs: SECOND_MS, run: services.tellKeyExpiries, log }),
    startJob({ name: 'count-activity', everyMs: FLUSH_EVERY_MS, firstInMs: FLUSH_EVERY_MS, run: () => services.activity.flush(), log }),
    startJob({ name: 'watch-shares', everyMs: SECOND_MS, run: services.watchShares, log }),
    startJob({ name: 'watch-rates', everyMs: LOOK_EVERY_MS, firstInMs: LOOK_EVERY_MS, run: services.watchRates, log }),
    startJob({ name: 'watch-burn', everyMs: LOOK_EVERY_MS, run: services.watchBurn, log }),
    startJob({ name: 'watch-latency', everyMs: LATENCY_EVERY_MS, firstInMs: LATENCY_EVERY_MS, run: lookAtLatency, log }),
    startJob({ name: 'watch-store', everyMs: SECOND_MS, run: watchStore, log }),
  ];
  return {
    failures: () => Object.fromEntries(jobs.map((job) => [job.name, job.failures()])),
    stop: async () => {
      await Promise.all([services.dispatcher.stop(), ...jobs.map((job) => job.stop())]);
      await Promise.all([services.activity.flush(), services.auth.close()]);
    },
  };
}

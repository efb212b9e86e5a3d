import { setTimeout as delay } from 'node:timers/promises';
import { makeActivityCounter, type ActivityCounter } from '../app/events/count-activity.ts';
import { makeEventServices, type EventServices } from '../app/events/event-services.ts';
import { observeCommands } from '../app/events/observe-commands.ts';
import { makeLatencyWatch, makeStoreWatch, type LatencyWatch } from '../app/events/watch-system.ts';
import { makeDenialRecorder, type DenialRecorder } from '../app/cycles/record-denial.ts';
import type { LedgerWriter } from '../app/ledger-writer.ts';
import { makeSubscriptions, type Subscriptions } from '../app/webhooks/subscriptions.ts';
import type { RecordRef } from '../core/records.ts';
import type { Clock } from '../ports/clock.ts';
import type { Failpoints } from '../ports/failpoints.ts';
import type { Ids } from '../ports/ids.ts';
import type { Log } from '../ports/log.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { SecretBox } from '../ports/secret-box.ts';
import type { WebhookStore } from '../ports/webhook-store.ts';
import { startEventJobs } from '../jobs/event-jobs.ts';
import type { Jobs } from '../jobs/jobs.ts';
import { makeHttpSender, traceIdOf } from '../webhooks/http-sender.ts';
import { makeSystemResolver } from '../webhooks/system-resolver.ts';
import type { Closers } from './closers.ts';
import type { RunIdentity } from './run-identity.ts';
import { observeEvents } from './telemetry/observe-events.ts';
import type { Telemetry } from './telemetry/telemetry.ts';
import { programVersion } from './version.ts';

/** Commands that are under way at any moment of an ordinary day. */
const QUIET_COMMANDS = 2;

/** The writer as everybody else uses it, with what watches it. */
export interface WatchedWriter {
  readonly writer: LedgerWriter;
  readonly denials: DenialRecorder;
  readonly activity: ActivityCounter;
  readonly latency: LatencyWatch;
  readonly subscriptions: Subscriptions;
}

/** What the watch needs. */
interface WatchDeps {
  readonly store: RecordStore & WebhookStore;
  readonly ids: Ids;
  readonly log: Log;
  readonly closers: Closers;
  readonly run: RunIdentity;
  readonly elapsedMs: () => number;
}

/** Puts the watch over a writer: refusals, expiries and lengths are noted beside it. What they tell is written by the writer below. */
export function watchWriter(plain: LedgerWriter, deps: WatchDeps): WatchedWriter {
  const { store, ids, log, elapsedMs } = deps;
  const denials = makeDenialRecorder({ writer: plain, ids, log, elapsedMs });
  deps.closers.add('denials', () => denials.close());
  const activity = makeActivityCounter({ store, log });
  const latency = makeLatencyWatch({ writer: plain, ids, nodeId: deps.run.ownerId });
  const writer = observeCommands(plain, { activity, recordDenial: (denial) => denials.record(denial), onTook: latency.note, elapsedMs });
  return { writer, denials, activity, latency, subscriptions: makeSubscriptions({ records: store }) };
}

/** What events and webhooks need beside. */
interface EventDeps extends WatchDeps {
  readonly secretBox: SecretBox;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly failpoints: Failpoints;
  /** Whether the store can be reached, as far as is known without asking it. */
  readonly isConnected: () => boolean;
}

/** Wires events and webhooks, and starts what runs by itself. */
export function composeEvents(deps: EventDeps, watched: WatchedWriter): { readonly services: EventServices; readonly jobs: Jobs } {
  const { store, ids, clock, closers, run, telemetry } = deps;
  const { writer, activity, latency, subscriptions } = watched;
  const sender = makeHttpSender({
    resolve: makeSystemResolver(),
    userAgent: `cycles-server-events/${programVersion()} castellan`,
    elapsedMs: deps.elapsedMs,
  });
  closers.add('webhook sender', () => sender.close());
  const services = makeEventServices({
    ...deps,
    records: store,
    subscriptions,
    activity,
    writer,
    sender,
    wait: (ms) => delay(ms),
    isBusy: () => writer.pending > QUIET_COMMANDS,
    traceIdOf,
    ownerId: run.ownerId,
    observer: observeEvents(telemetry.metrics),
  });
  const nodeId = run.ownerId;
  const watchStore = makeStoreWatch({ isConnected: deps.isConnected, writer, ids, nowMs: () => clock.nowMs(), nodeId });
  const jobs = startEventJobs({ services, watchStore, lookAtLatency: () => latency.look(), log: deps.log });
  closers.add('event jobs', () => jobs.stop());
  return { services, jobs };
}

/** Tells everybody who remembers records which ones have changed. */
export const tellChanged =
  (...listeners: readonly { readonly recordsChanged: (refs: readonly RecordRef[]) => void }[]) =>
  (refs: readonly RecordRef[]): void => {
    for (const listener of listeners) listener.recordsChanged(refs);
  };

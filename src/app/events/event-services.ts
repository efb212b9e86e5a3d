import type { Clock } from '../../ports/clock.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Ids } from '../../ports/ids.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { SecretBox } from '../../ports/secret-box.ts';
import type { WebhookSender } from '../../ports/webhook-sender.ts';
import type { WebhookStore } from '../../ports/webhook-store.ts';
import type { LedgerWriter } from '../ledger-writer.ts';
import { makeBulkWebhooks } from '../webhooks/bulk-webhooks.ts';
import { makeDispatcher, type DeliveryObserver } from '../webhooks/deliver-events.ts';
import { makeHandOutEvents } from '../webhooks/hand-out-events.ts';
import { makeWebhookManagement } from '../webhooks/manage-webhooks.ts';
import { makePace } from '../webhooks/pace.ts';
import { makeProbeWebhook } from '../webhooks/probe-webhook.ts';
import { makeReplayEvents } from '../webhooks/replay-events.ts';
import { makeSendEvent } from '../webhooks/send-event.ts';
import type { Subscriptions } from '../webhooks/subscriptions.ts';
import { makeTellFailures } from '../webhooks/tell-failures.ts';
import { makeWatchShares } from '../webhooks/watch-shares.ts';
import type { ActivityCounter } from './count-activity.ts';
import { makeAuthRecorder } from './record-auth-failure.ts';
import { makeTellKeyExpiries } from './tell-key-expiries.ts';
import { makeWatchBurn } from './watch-burn.ts';
import { makeWatchRates } from './watch-rates.ts';

/** What is counted of events and their deliveries. */
export interface EventObserver extends DeliveryObserver {
  handedOut(counts: { readonly events: number; readonly deliveries: number }): void;
  disabled(): void;
}

/** What events and webhooks need. `ownerId` names this run of the process. */
export interface EventServicesDeps {
  readonly store: WebhookStore;
  readonly records: Pick<RecordStore, 'record' | 'records' | 'accounts'>;
  readonly subscriptions: Subscriptions;
  readonly activity: ActivityCounter;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly sender: WebhookSender;
  readonly traceIdOf: (eventId: string) => string;
  readonly secretBox: SecretBox;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly elapsedMs: () => number;
  readonly wait: (ms: number) => Promise<void>;
  /** Whether commands wait, so that deliveries must not take their time. */
  readonly isBusy: () => boolean;
  readonly ownerId: string;
  readonly observer: EventObserver;
  readonly failpoints: Failpoints;
  readonly log: Log;
}

/** What may be due before its job comes round: who finds out says so. */
export interface Wakes {
  deliver: () => void;
  tellFailures: () => void;
}

/** Makes what tells, hands out, delivers and manages, each part once. What runs by itself is for the jobs to run; they fill in `wakes`. */
export function makeEventServices(deps: EventServicesDeps) {
  const { store, records, subscriptions, writer, sender, ids, failpoints, observer, elapsedMs } = deps;
  const wakes: Wakes = { deliver: () => undefined, tellFailures: () => undefined };
  const wake = (): void => wakes.deliver();
  const send = makeSendEvent({ ...deps, security: () => subscriptions.security() });
  const watchShares = makeWatchShares({ records, subscriptions, writer, ids });
  return {
    wakes,
    activity: deps.activity,
    auth: makeAuthRecorder(deps),
    management: makeWebhookManagement({ ...deps, onChanged: (tenantId) => watchShares.changed(tenantId), wake }),
    probe: makeProbeWebhook({ writer, records, store, subscriptions, send, ids }),
    replay: makeReplayEvents({ writer, records, store, ids, wake }),
    bulk: makeBulkWebhooks({
      writer,
      subscriptions,
      ids,
      elapsedMs,
      onResumed: async (webhookId) => {
        await store.wakeDeliveries(webhookId);
        wake();
      },
    }),
    handOut: makeHandOutEvents({
      store,
      subscriptions,
      ids,
      failpoints,
      onHandedOut: (counts) => {
        observer.handedOut(counts);
        if (counts.deliveries > 0) wake();
      },
    }),
    dispatcher: makeDispatcher({
      ...deps,
      send,
      pace: makePace(deps),
      sendLimitMs: sender.limitMs,
      onFailed: () => wakes.tellFailures(),
      onRoom: wake,
    }),
    tellFailures: makeTellFailures({ store, writer, subscriptions, ids, failpoints, onDisabled: () => observer.disabled() }),
    watchShares: () => watchShares.all(),
    watchRates: makeWatchRates(deps),
    watchBurn: makeWatchBurn({ ...deps, nowMs: () => deps.clock.nowMs() }),
    tellKeyExpiries: makeTellKeyExpiries({ store, writer, ids }),
  };
}

/** Events and webhooks, as the surfaces and the jobs use them. */
export type EventServices = ReturnType<typeof makeEventServices>;

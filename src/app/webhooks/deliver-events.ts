import type { Webhook } from '../../core/records.ts';
import { maySee } from '../../core/webhooks/match-event.ts';
import { DELIVERY_EXPIRES_MS, retryDelayMs, retryPolicyOf } from '../../core/webhooks/retry.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { Log } from '../../ports/log.ts';
import type { AttemptResult, DeliveryLease, DeliveryRound, DueDelivery, WebhookStore } from '../../ports/webhook-store.ts';
import { makeDueReader, type DueReader } from './due-reader.ts';
import type { Pace } from './pace.ts';
import { makeRoundWriter } from './round-writer.ts';
import type { SendEvent } from './send-event.ts';
import type { Subscriptions } from './subscriptions.ts';

/** What is counted of deliveries. Lengths in milliseconds. */
export interface DeliveryObserver {
  attempted(outcome: { readonly status: AttemptResult['status']; readonly tookMs: number | null }): void;
  /** A delivery whose event, subscription or time was gone before anybody tried. */
  stale(): void;
}

/** What delivering needs. `sendLimitMs` is the longest that one request takes; `elapsedMs` a clock that never goes back. */
export interface DeliverDeps {
  readonly store: Pick<WebhookStore, 'leaseDeliveries' | 'renewLease' | 'dueDeliveries' | 'writeRounds' | 'dropDeliveries'>;
  readonly subscriptions: Pick<Subscriptions, 'get' | 'refresh'>;
  readonly send: SendEvent;
  readonly pace: Pace;
  readonly sendLimitMs: number;
  readonly ownerId: string;
  readonly observer: DeliveryObserver;
  /** Called when a delivery has failed for good, so that it is told soon. */
  readonly onFailed: () => void;
  /** Called when a subscription that was served has left room for another. */
  readonly onRoom: () => void;
  readonly failpoints: Failpoints;
  readonly log: Log;
  readonly elapsedMs: () => number;
}

/** Delivers what is due. */
export interface Dispatcher {
  /** Begins to serve subscriptions that have something due, as many as there is room for. `more`: there may be others. */
  run(): Promise<{ readonly more: boolean }>;
  /** Resolves when nothing is served. */
  idle(): Promise<void>;
  /** Takes no more, and resolves when the requests under way have ended. */
  stop(): Promise<void>;
}

/** Subscriptions that are served at once by this node. */
const ROOM = 64;
/** Leases are asked for when there is room for as many, or when nothing is served: not for each place that becomes free. */
const LEAST_ROOM = 8;
/** Requests to one subscription at once: first attempts of each tenant one after another, and those that are made again beside them. */
const LANES = 4;
/** Deliveries of one subscription that are read at once. */
const READ = 50;
/** A lease outlasts the longest request twice; it is prolonged before a request that it would not outlast. */
const LEASES = 3;
/** How long a subscription that is PAUSED or DISABLED is left alone; one that becomes ACTIVE is woken. */
const PARK_MS = 15_000;

/**
 * Makes the dispatcher. A node delivers to a subscription while it holds the subscription's lease: first attempts of a tenant's events go one
 * after another in the order of the events, and no row is sent by two nodes at once. The lease is looked at before each request, and what is
 * written under one that was lost is ignored.
 */
export function makeDispatcher(deps: DeliverDeps): Dispatcher {
  const { store, log, elapsedMs } = deps;
  const leaseMs = LEASES * deps.sendLimitMs;
  const serving = new Set<Promise<void>>();
  const rounds = makeRoundWriter(store);
  const due = makeDueReader(store, READ);
  let isStopping = false;
  /** How often it was asked to run, and whether the last time there was more to lease than room. */
  let runs = 0;
  let isShort = false;

  async function serve(lease: DeliveryLease, leasedAtMs: number, known: Promise<void>): Promise<void> {
    try {
      await known;
      await serveLease({ ...deps, leaseMs, due, write: (round) => rounds.write(round), isStopping: () => isStopping }, lease, leasedAtMs);
    } catch (err) {
      // Whoever leases it next goes on; the lease ends by itself.
      log.warn({ err, webhookId: lease.webhookId }, 'a webhook could not be served');
    }
  }

  const idle = async (): Promise<void> => {
    while (serving.size > 0) await Promise.all(serving);
  };

  return {
    run: async () => {
      runs += 1;
      const room = ROOM - serving.size;
      if (isStopping || (room < LEAST_ROOM && serving.size > 0)) return { more: false };
      // From before the store was asked, so that our idea of the lease ends no later than the store's.
      const leasedAtMs = elapsedMs();
      const leases = await store.leaseDeliveries({ ownerId: deps.ownerId, limit: room, leaseMs });
      isShort = leases.length === room;
      if (leases.length === 0) return { more: false };
      const ran = runs;
      deps.failpoints.hit('webhook.leased');
      // After the leases: whatever subscription another node has made deliveries for is known then, and what it has changed.
      const known = deps.subscriptions.refresh();
      for (const lease of leases) {
        const served = serve(lease, leasedAtMs, known).finally(() => {
          serving.delete(served);
          // Others wait for room, or something was handed out while this one was held.
          if (!isStopping && (isShort || ran !== runs)) deps.onRoom();
        });
        serving.add(served);
      }
      return { more: false };
    },
    idle,
    stop: () => {
      isStopping = true;
      return idle();
    },
  };
}

/** What serving one subscription needs beside. */
interface ServeDeps extends DeliverDeps {
  readonly leaseMs: number;
  readonly due: DueReader;
  readonly write: (round: DeliveryRound) => Promise<boolean>;
  readonly isStopping: () => boolean;
}

/** Serves one subscription until nothing is due, or until the lease is somebody else's. */
async function serveLease(deps: ServeDeps, lease: DeliveryLease, leasedAtMs: number): Promise<void> {
  const { store, subscriptions, write, leaseMs, sendLimitMs, elapsedMs } = deps;
  let heldSinceMs = leasedAtMs;
  const holds = async (): Promise<boolean> => {
    if (elapsedMs() - heldSinceMs + 2 * sendLimitMs < leaseMs) return true;
    const askedAtMs = elapsedMs();
    if (!(await store.renewLease({ ...lease, leaseMs }))) return false;
    heldSinceMs = askedAtMs;
    return true;
  };
  for (;;) {
    const webhook = await subscriptions.get(lease.webhookId);
    if (webhook === undefined) return store.dropDeliveries(lease);
    const epoch = webhook.epoch ?? 0;
    const due = deps.isStopping() ? [] : await deps.due.read(webhook.id);
    const refused = due.flatMap((each) => [refusalOf(webhook, each)].filter((result) => result !== null));
    for (const _ of refused) deps.observer.stale();
    const isActive = webhook.status === 'ACTIVE';
    if (!isActive || due.length === 0) {
      await write({ lease, epoch, results: refused, release: true, ...(isActive ? {} : { parkMs: PARK_MS }) });
      return;
    }
    if (refused.length > 0 && !(await write({ lease, epoch, results: refused, release: false }))) return;
    const refusedIds = new Set(refused.map(({ ref }) => `${ref.eventSeq} ${ref.replayId}`));
    const rest = due.filter(({ delivery }) => !refusedIds.has(`${delivery.eventSeq} ${delivery.replayId}`));
    const goesOn = await attemptAll(deps, { lease, webhook, holds, isAll: due.length < READ }, rest);
    if (!goesOn) return;
  }
}

/** What of a delivery needs no attempt: its time is over, its event is forgotten, or the subscription may not see it. */
function refusalOf(webhook: Webhook, { delivery, event, ageMs }: DueDelivery): AttemptResult | null {
  const because = (error: string): AttemptResult => ({
    ref: delivery,
    status: 'FAILED',
    attempts: delivery.attempts,
    retryInMs: null,
    responseStatus: null,
    responseTimeMs: null,
    error,
    isCounted: false,
  });
  if (event === null) return because('the event is not kept any more');
  if (!maySee(webhook, event.event)) return because('the subscription may not see events of this type');
  if (ageMs > DELIVERY_EXPIRES_MS) return because('it was not delivered within 24 hours');
  return null;
}

/** First attempts of one tenant's events are one lane, in order; whatever is tried again is a lane by itself. */
function lanesOf(due: readonly DueDelivery[]): DueDelivery[][] {
  const first = due.filter(({ delivery }) => delivery.status === 'PENDING');
  const again = due.filter(({ delivery }) => delivery.status !== 'PENDING').map((each) => [each]);
  return [...Map.groupBy(first, ({ delivery }) => delivery.tenantId).values(), ...again];
}

/** Two changes may share a millisecond, so that the moment of the last does not tell. */
const isUnchanged = (webhook: Webhook, now: Webhook | undefined): boolean =>
  now === webhook || JSON.stringify(now) === JSON.stringify(webhook);

/**
 * Tries what is due, lane beside lane. A change of the subscription ends the round early. With the last of `isAll` that was due the lease is
 * given up. False where the lease is held no more.
 */
async function attemptAll(
  deps: ServeDeps,
  held: { readonly lease: DeliveryLease; readonly webhook: Webhook; readonly holds: () => Promise<boolean>; readonly isAll: boolean },
  due: readonly DueDelivery[],
): Promise<boolean> {
  const { lease, webhook, holds } = held;
  const lanes = lanesOf(due);
  let left = due.length;
  let isHeld = true;
  let isSame = true;
  let isReleased = false;
  const next = async (): Promise<void> => {
    for (let lane = lanes.shift(); lane !== undefined && isHeld; lane = lanes.shift()) {
      for (const each of lane) {
        await deps.pace();
        isSame &&= isUnchanged(webhook, await deps.subscriptions.get(webhook.id)) && !deps.isStopping();
        if (!isSame) return;
        isHeld &&= await holds();
        if (!isHeld) return;
        const result = await attempt(deps, webhook, each);
        deps.failpoints.hit('webhook.sent');
        left -= 1;
        isReleased = held.isAll && left === 0;
        isHeld &&= await deps.write({ lease, epoch: webhook.epoch ?? 0, results: [result], release: isReleased });
        deps.failpoints.hit('webhook.booked');
        if (!isHeld) return;
        if (result.status === 'FAILED') deps.onFailed();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(LANES, lanes.length) }, next));
  return isHeld && !isReleased;
}

async function attempt(deps: ServeDeps, webhook: Webhook, { delivery, event }: DueDelivery): Promise<AttemptResult> {
  const attempts = delivery.attempts + 1;
  // Without an event there is no attempt, which was seen to before.
  const outcome = event === null ? null : await deps.send(webhook, event.event, delivery.id);
  const isTaken = outcome?.kind === 'answered' && outcome.status >= 200 && outcome.status < 300;
  const retryInMs = isTaken ? null : retryDelayMs(retryPolicyOf(webhook), attempts);
  const status = isTaken ? 'SUCCESS' : retryInMs === null ? 'FAILED' : 'RETRYING';
  const tookMs = outcome?.responseTimeMs ?? null;
  deps.observer.attempted({ status, tookMs });
  return {
    ref: delivery,
    status,
    attempts,
    retryInMs,
    responseStatus: outcome?.kind === 'answered' ? outcome.status : null,
    responseTimeMs: tookMs,
    error: isTaken ? null : outcome?.kind === 'failed' ? outcome.error : `answered ${outcome?.status ?? ''}`,
    isCounted: true,
  };
}

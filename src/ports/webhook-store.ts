import type { StoredEvent } from './record-store.ts';

/** By what a list of events can be sorted. Source: Cycles governance, `listEvents`. */
export type EventSort = 'timestamp' | 'event_type' | 'category' | 'scope' | 'tenant_id';

/** Where a page of events ended. `key` is the value that is sorted by, null for the time itself. */
export interface EventPosition {
  readonly key: string | null;
  readonly atMs: number;
  readonly seq: number;
}

/**
 * Which events, in which order. `types` are all those that may show. `scope` is a path: it and what lies below it, by whole segments.
 * `fromMs` and `toMs` belong to the range. `search` is looked for in correlation id and scope, in lower case.
 */
export interface EventQuery {
  readonly types: readonly string[];
  readonly tenantId?: string;
  readonly scope?: string;
  readonly correlationId?: string;
  readonly traceId?: string;
  readonly requestId?: string;
  readonly fromMs?: number;
  readonly toMs?: number;
  readonly search?: string;
  readonly sortBy: EventSort;
  readonly descending: boolean;
  readonly after: EventPosition | null;
  readonly limit: number;
}

/** PENDING: not tried yet; RETRYING: tried in vain, to be tried again. Source: Cycles governance, `WebhookDelivery.status`. */
export type DeliveryStatus = 'PENDING' | 'RETRYING' | 'SUCCESS' | 'FAILED';

/** Which delivery: of one event to one subscription, in the course of one replay (empty: when it happened). */
export interface DeliveryRef {
  readonly webhookId: string;
  readonly eventSeq: number;
  readonly replayId: string;
}

/** A delivery as it begins. `tenantId` is the event's. */
export interface NewDelivery extends DeliveryRef {
  readonly id: string;
  readonly eventId: string;
  readonly eventType: string;
  readonly tenantId: string;
  readonly traceId: string | null;
  readonly traceFlags: string | null;
}

/** A delivery as it stands. Moments in milliseconds; `attemptedAtMs` is its last attempt, `dueAtMs` the next one, null once it has ended. */
export interface Delivery extends NewDelivery {
  readonly status: DeliveryStatus;
  readonly attempts: number;
  readonly createdAtMs: number;
  readonly dueAtMs: number | null;
  readonly attemptedAtMs: number | null;
  readonly completedAtMs: number | null;
  readonly responseStatus: number | null;
  readonly responseTimeMs: number | null;
  readonly error: string | null;
}

/** A delivery that is due, with its event, null where that is forgotten. */
export interface DueDelivery {
  readonly delivery: Delivery;
  readonly event: StoredEvent | null;
  readonly ageMs: number;
}

/** How a subscription's deliveries go. `failures` are those in a row, of the subscription's `epoch`. */
export interface WebhookHealth {
  readonly webhookId: string;
  readonly epoch: number;
  readonly failures: number;
  readonly lastTriggeredAtMs: number | null;
  readonly lastSuccessAtMs: number | null;
  readonly lastFailureAtMs: number | null;
}

/** The right to deliver to one subscription, until it ends or is given up. `fence` grows with each holder: an older one writes nothing. */
export interface DeliveryLease {
  readonly webhookId: string;
  readonly fence: number;
}

/** What became of one attempt. `retryInMs` null: there is no other. A failure that was no attempt (too old) does not count. */
export interface AttemptResult {
  readonly ref: DeliveryRef;
  readonly status: 'RETRYING' | 'SUCCESS' | 'FAILED';
  readonly attempts: number;
  readonly retryInMs: number | null;
  readonly responseStatus: number | null;
  readonly responseTimeMs: number | null;
  readonly error: string | null;
  readonly isCounted: boolean;
}

/** What the holder of a lease has done. With `release` the lease ends; the next is given at the earliest in `parkMs`, where that is given. */
export interface DeliveryRound {
  readonly lease: DeliveryLease;
  readonly epoch: number;
  readonly results: readonly AttemptResult[];
  readonly release: boolean;
  readonly parkMs?: number;
}

/** A failure that is to be told. */
export interface UntoldFailure {
  readonly delivery: Delivery;
  /** Failures in a row of the subscription, as they stand. */
  readonly failures: number;
  readonly epoch: number;
}

/** Counts of what tenants do, for rates. */
export type ActivityMetric = 'reservations' | 'denials' | 'expiries' | 'auths' | 'auth_failures';

/** So many more of something in the minute that holds the store's time. */
export interface ActivityCount {
  readonly tenantId: string;
  readonly metric: ActivityMetric;
  readonly count: number;
}

/** What a budget has spent lately. `accountId` as the ledger has it; `spent` is the sum of what was booked, int64 as a bigint. */
export interface BudgetSpend {
  readonly accountId: string;
  readonly minuteMs: number;
  readonly spent: bigint;
}

/**
 * Events as they are listed and handed out, and what is delivered of them. The reads see committed rows only; the writes are transactions
 * of their own, by the store's own time. Every method throws a `Fault` where the store cannot be reached.
 */
export interface WebhookStore {
  /** Events in the wanted order. Costs about the same behind any number of events, but for `search`. */
  listEvents(query: EventQuery): Promise<StoredEvent[]>;
  event(id: string): Promise<StoredEvent | undefined>;
  /** Events that were not handed out yet, oldest first. Index: events_undelivered. */
  eventsToHandOut(query: { readonly limit: number }): Promise<StoredEvent[]>;
  /**
   * Makes deliveries and, with them, marks the events `seqs` as handed out. A delivery that exists is left as it is. False, and nothing is
   * done, where one of the events was handed out meanwhile: by another node.
   */
  handOut(work: { readonly seqs: readonly number[]; readonly deliveries: readonly NewDelivery[] }): Promise<boolean>;
  /** Makes the deliveries of a replay; false, and nothing is done, while an earlier replay of the subscription goes on. */
  startReplay(work: { readonly webhookId: string; readonly deliveries: readonly NewDelivery[] }): Promise<boolean>;
  /** Keeps a delivery that has been made already. */
  addEnded(made: {
    readonly delivery: NewDelivery;
    readonly status: 'SUCCESS' | 'FAILED';
    readonly responseStatus: number | null;
    readonly responseTimeMs: number | null;
    readonly error: string | null;
  }): Promise<void>;
  /** Leases subscriptions that have something due and that nobody holds, those that waited longest first. */
  leaseDeliveries(query: { readonly ownerId: string; readonly limit: number; readonly leaseMs: number }): Promise<DeliveryLease[]>;
  /** Prolongs a lease; false where it is somebody else's by now. */
  renewLease(lease: DeliveryLease & { readonly leaseMs: number }): Promise<boolean>;
  /** Lets what waits for a subscription be looked at now. */
  wakeDeliveries(webhookId: string): Promise<void>;
  /**
   * What is due to subscriptions, at most `limit` for each, those of one in the order of the events; with the events, those whose event is
   * forgotten without one.
   */
  dueDeliveries(query: { readonly webhookIds: readonly string[]; readonly limit: number }): Promise<DueDelivery[]>;
  /** Writes what was done under leases; what an older holder says is ignored. Returns the rounds whose lease was good, by their place. */
  writeRounds(rounds: readonly DeliveryRound[]): Promise<boolean[]>;
  /** Forgets what waits for a subscription that is no more. */
  dropDeliveries(lease: DeliveryLease): Promise<void>;
  untoldFailures(query: { readonly limit: number }): Promise<UntoldFailure[]>;
  markTold(refs: readonly DeliveryRef[]): Promise<void>;
  /** Deliveries of a subscription, newest first. */
  deliveries(query: {
    readonly webhookId: string;
    readonly statuses: readonly DeliveryStatus[];
    readonly fromMs?: number;
    readonly toMs?: number;
    readonly after: { readonly createdAtMs: number; readonly id: string } | null;
    readonly limit: number;
  }): Promise<Delivery[]>;
  webhookHealth(webhookIds: readonly string[]): Promise<Map<string, WebhookHealth>>;
  /** Adds to the counts of this minute. */
  addActivity(counts: readonly ActivityCount[]): Promise<void>;
  /** The sums of every tenant's counts of the last `windowMs`, whole minutes. */
  activitySums(query: { readonly windowMs: number }): Promise<ActivityCount[]>;
  /** What budgets spent by minute, from the line `afterSeq` of the journal on (null: none, only where it ends), and where it ends. */
  budgetSpend(query: {
    readonly afterSeq: number | null;
    readonly limit: number;
  }): Promise<{ readonly spend: BudgetSpend[]; readonly lastSeq: number }>;
  /** Keys whose time is over and that nobody was told of. Index: api_keys_untold_expiry. */
  untoldKeyExpiries(query: { readonly limit: number }): Promise<{ readonly id: string; readonly tenantId: string }[]>;
}

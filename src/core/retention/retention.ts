import { ALL_TIME_LEVEL_MS, ROLLUP_LEVELS, USAGE_EVENTS_KEEP_MS } from '../usage/rollups.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** How long each kind of row is kept, in milliseconds. Balances, records and the rollups that are kept for ever are none of its business. */
export interface Retention {
  /** An event, from the moment it happened. */
  readonly eventsMs: number;
  /** What is known of the delivery of an event to a webhook, from the moment it ended. */
  readonly deliveriesMs: number;
  /** The answer to an idempotency key, from the moment it was given. */
  readonly idempotencyMs: number;
  /** An audit row. */
  readonly auditMs: number;
  /** A reservation, from the moment it was settled, and the lines of the journal that tell of it, and of anything else as old. */
  readonly reservationsMs: number;
  /** The raw event of one metered request. */
  readonly usageEventsMs: number;
}

/** What is kept where nothing is said. */
export const DEFAULT_RETENTION: Retention = {
  eventsMs: 30 * DAY_MS,
  deliveriesMs: 30 * DAY_MS,
  idempotencyMs: 24 * HOUR_MS,
  auditMs: 400 * DAY_MS,
  reservationsMs: 90 * DAY_MS,
  usageEventsMs: USAGE_EVENTS_KEEP_MS,
};

/** A level of rollups of which buckets that start before `beforeMs` may go. */
export interface RollupCutoff {
  readonly levelMs: number;
  readonly beforeMs: number;
}

/** What may go at one moment. A row goes where its own moment lies before the cut-off; one that lies on it stays. */
export interface Cutoffs {
  /** Events by the moment they happened. */
  readonly eventsBeforeMs: number;
  /** Deliveries by the moment they ended. */
  readonly deliveriesBeforeMs: number;
  /** Remembered answers by the moment until which they hold. */
  readonly idempotencyBeforeMs: number;
  readonly auditBeforeMs: number;
  /** Reservations by the moment they were settled, other lines of the journal by their own: the start of a day (UTC). */
  readonly ledgerBeforeMs: number;
  readonly usageEventsBeforeMs: number;
  readonly rollups: readonly RollupCutoff[];
}

/**
 * What may go at `nowMs`, a moment in milliseconds, by `retention`. Nothing goes sooner than its time.
 *
 * The ledger is cut once a day: folding a day's lines reads the reservations that lie around its start, and doing so each hour would read
 * them each hour. A bucket of rollups goes when its last moment is past its level's time. An answer holds until its own end, which was
 * written with it.
 */
export function cutoffsAt(retention: Retention, nowMs: number): Cutoffs {
  const ledgerMs = nowMs - retention.reservationsMs;
  return {
    eventsBeforeMs: nowMs - retention.eventsMs,
    deliveriesBeforeMs: nowMs - retention.deliveriesMs,
    // The last moment at which an answer still holds is the one before its end.
    idempotencyBeforeMs: nowMs + 1,
    auditBeforeMs: nowMs - retention.auditMs,
    ledgerBeforeMs: ledgerMs - (ledgerMs % DAY_MS),
    usageEventsBeforeMs: nowMs - retention.usageEventsMs,
    rollups: ROLLUP_LEVELS.flatMap(({ levelMs, keepMs }) =>
      keepMs === null || levelMs === ALL_TIME_LEVEL_MS ? [] : [{ levelMs, beforeMs: nowMs - keepMs - levelMs + 1 }],
    ),
  };
}

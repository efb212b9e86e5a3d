import type { AccountId } from '../ledger/account.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type { TokenActuals } from '../ledger/settle-amounts.ts';
import { USAGE_EVENTS_KEEP_MS } from './rollups.ts';
import type { UsageEvent } from './usage-event.ts';
import type { WindowDemand } from '../windows/budget-rule.ts';

/**
 * Why an event of a usage report was not booked.
 *
 * `invalid`: it breaks a rule of the form. `unknown_key`: nobody has that key, or it may not call models. `foreign_tenant`: its key is of a
 * tenant that the reporter does not report for. `unknown_model`, `model_unpriced`: as the gateway refuses them. `unknown_meter`: it
 * counts something that has no price. `in_future`, `too_old`: see {@link MAX_REPORT_AGE_MS}. `out_of_range`: an account would have spent
 * more than int64 holds.
 */
export type QuarantineReason =
  | 'invalid'
  | 'unknown_key'
  | 'foreign_tenant'
  | 'unknown_model'
  | 'model_unpriced'
  | 'unknown_meter'
  | 'in_future'
  | 'too_old'
  | 'out_of_range';

/** Names one event of one reporter; ids of different reporters have nothing to do with each other. */
export interface ReportRef {
  readonly reporterId: string;
  readonly eventId: string;
}

/**
 * An event that a reporter told us of. Kept so that it is booked once at most, and, where it is quarantined, so that it can be booked
 * later: then `body` is the event without its key's value, else null. `hash` tells two events under one id apart. `reason` is null
 * where it was booked.
 */
export interface UsageReport extends ReportRef {
  readonly hash: string;
  readonly reason: QuarantineReason | null;
  readonly receivedAtMs: number;
  readonly body: PlainJson;
}

/** What is charged for what was used already: its accounts in order of precedence, its amounts, and its line of usage but for its moments. */
export interface UsageBooking {
  readonly accounts: readonly AccountId[];
  readonly actuals: TokenActuals;
  readonly usage: Omit<UsageEvent, 'atMs' | 'heldAtMs'>;
  /** Where the tenant has rules for windows: what names those that it counts in. */
  readonly windows?: WindowDemand;
}

/** An event that can be booked, or why not. */
export type ReportJudgement =
  | { readonly kind: 'book'; readonly booking: UsageBooking }
  | { readonly kind: 'quarantine'; readonly reason: QuarantineReason };

/** How far the clocks of a reporter and ours may be apart. Source: Tinfoil reference section 5. */
export const MAX_REPORT_SKEW_MS = 5 * 60_000;

/**
 * An event that happened longer ago is not booked. Raw usage events are kept longer than that, so that every day of them that is still
 * there agrees with its sums.
 */
export const MAX_REPORT_AGE_MS = 30 * 86_400_000;

/** How long it is remembered that an event was received. When it is forgotten, the event is too old to be booked again. */
export const USAGE_REPORTS_KEEP_MS = USAGE_EVENTS_KEEP_MS;

/** The id of the usage event, and the name in the journal, of a reported event. No id of a call looks like it. */
export const reportUsageId = ({ reporterId, eventId }: ReportRef): string => `report:${reporterId}:${eventId}`;

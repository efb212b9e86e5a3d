import type { TokenActuals } from './settle-amounts.ts';
import type { MetObject } from '../calls/upstream-object.ts';
import type { IdempotencyRef } from '../effects.ts';
import type { UsageEvent } from '../usage/usage-event.ts';
import type { ReportJudgement } from '../usage/usage-report.ts';
import type { MinuteLimit, RateLimit, TokenChange } from '../policy/rate-window.ts';
import type { CommandBase } from '../verb.ts';
import type { AccountId, OveragePolicy } from './account.ts';
import type { Telling } from '../events/commands.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type { ReservationPurpose } from './reservation.ts';
import type { WindowDemand } from '../windows/budget-rule.ts';

/**
 * One account that a reservation would hold on. The amount for `u` units of output is `ceil((base + perUnit * u) / divisor)`, so that
 * tokens (divisor 1) and money in micro-cents counted in nano-dollars (divisor 10) are held by one rule. `required` accounts must
 * exist; others are skipped where they do not.
 */
export interface LegRequest {
  readonly accountId: AccountId;
  readonly base: bigint;
  readonly perUnit: bigint;
  readonly divisor: bigint;
  readonly required: boolean;
}

/** How much output a hold must pay for: `max` units, or less where the accounts leave less, but never below `min`. */
export interface OutputRange {
  readonly min: bigint;
  readonly max: bigint;
}

/** The caller's idempotency key, with the hash of the canonical body and how long the answer is kept. */
export interface CommandIdempotency {
  readonly ref: IdempotencyRef;
  readonly hash: string;
  readonly keepMs: number;
}

/**
 * Holds on every leg or on none. Legs are in order of precedence: the first account that refuses is named.
 *
 * `otherUnitAccounts` tell a unit mismatch from a missing budget where `mustCover`; with `mustCoverMoney` at least one
 * account in a money unit must exist and have a limit.
 */
export interface ReserveCommand extends CommandBase {
  readonly verb: 'reserve';
  readonly reservationId: string;
  readonly purpose: ReservationPurpose;
  readonly legs: readonly LegRequest[];
  readonly output: OutputRange;
  readonly mustCover: boolean;
  readonly mustCoverMoney: boolean;
  readonly otherUnitAccounts: readonly AccountId[];
  readonly overagePolicy: OveragePolicy;
  readonly ttlMs: number;
  readonly graceMs: number;
  readonly maxExtensions: number;
  readonly ownerId: string;
  readonly context: PlainJson;
  /** What the policy of its scopes allows in a minute; null or absent where it says nothing. */
  readonly limit?: RateLimit | null;
  /** The limits of requests and tokens that a call obeys; absent where it has none. It uses `inputTokens` beside its output. */
  readonly rates?: { readonly limits: readonly MinuteLimit[]; readonly inputTokens: number };
  /** Of a call whose tenant has rules for windows: what names those that it must fit into. */
  readonly windows?: WindowDemand | null;
  /** Of a call: when the settings of its tenant by which it was planned were changed last; null where it had none. Absent: they do not matter. */
  readonly settingsAtMs?: number | null;
  readonly idempotency?: CommandIdempotency;
}

/** Settles with `actual` on every leg under the reservation's overage policy; may be refused. Source: Cycles protocol, commit. */
export interface CommitCommand extends CommandBase {
  readonly verb: 'commit';
  readonly reservationId: string;
  readonly actual: bigint;
  readonly unit: string;
  /** JSON text of what the client said beside, kept with the reservation as it is; null or absent where it said nothing. */
  readonly details?: string | null;
  /** What the policy of the reservation's scopes allows in a minute; null or absent where it says nothing. */
  readonly limit?: RateLimit | null;
  readonly idempotency?: CommandIdempotency;
}

/** Returns what a reservation holds. */
export interface ReleaseCommand extends CommandBase {
  readonly verb: 'release';
  readonly reservationId: string;
  readonly idempotency?: CommandIdempotency;
}

/** Adds `byMs` to a reservation's expiry. Source: Cycles protocol, extend. */
export interface ExtendCommand extends CommandBase {
  readonly verb: 'extend';
  readonly reservationId: string;
  readonly byMs: number;
  readonly idempotency?: CommandIdempotency;
}

/**
 * Books a charge that was never held. `accounts` are those of its scopes, widest first. `overagePolicy` null: what the deepest budget says, else the tenant, else ALLOW_IF_AVAILABLE.
 * Source: Cycles protocol, events.
 */
export interface DebitCommand extends CommandBase {
  readonly verb: 'debit';
  readonly debitId: string;
  readonly accounts: readonly AccountId[];
  readonly otherUnitAccounts: readonly AccountId[];
  readonly amount: bigint;
  readonly overagePolicy: OveragePolicy | null;
  readonly idempotency?: CommandIdempotency;
}

/** The five funding operations of a budget. Source: Cycles governance, `FundingOperation`. */
export type FundOperation = 'CREDIT' | 'DEBIT' | 'RESET' | 'RESET_SPENT' | 'REPAY_DEBT';

/** Funds a budget. `spent` is looked at by RESET_SPENT only; `reason` is for people, in the event. */
export interface FundCommand extends CommandBase {
  readonly verb: 'fund';
  readonly accountId: AccountId;
  readonly operation: FundOperation;
  readonly amount: bigint;
  readonly spent?: bigint;
  readonly reason?: string;
  readonly idempotency?: CommandIdempotency;
}

/** Sets what an account may spend in all, making the account where there is none. Null clears the limit: it counts on, and never refuses. */
export interface AllocateCommand extends CommandBase {
  readonly verb: 'allocate';
  readonly accountId: AccountId;
  readonly allocated: bigint | null;
}

/** Returns the hold of a reservation whose time and grace are over. Others are left alone. */
export interface ExpireCommand extends CommandBase {
  readonly verb: 'expire';
  readonly reservationId: string;
}

/** Keeps the hold of a call in flight until `ttlMs` from now, and remembers the output seen so far. */
export interface KeepCallCommand extends CommandBase {
  readonly verb: 'keep-call';
  readonly reservationId: string;
  readonly ttlMs: number;
  readonly checkpoint: PlainJson;
}

/**
 * Settles a call with what it really used, whatever the state of its hold, budgets or tenant; books the usage with it. With
 * `actuals` null the call never ran: its hold is returned and nothing is charged.
 */
export interface SettleCallCommand extends CommandBase {
  readonly verb: 'settle-call';
  readonly reservationId: string;
  readonly actuals: TokenActuals | null;
  readonly usage: Omit<UsageEvent, 'atMs' | 'heldAtMs'> | null;
  /** What the upstream keeps of the call, to be remembered with its settlement. */
  readonly objects?: readonly MetObject[];
  /** What its limits of tokens counted too much or too little; absent where it has none. */
  readonly rates?: readonly TokenChange[];
  /** What is to be told with it; absent where there is nothing. */
  readonly tellings?: readonly Telling[];
}

/** An event of a usage report: what it is known by, and what it comes to as far as its sender's rights and the time do not say otherwise. */
export interface ReportItem {
  readonly eventId: string;
  readonly hash: string;
  readonly occurredAtMs: number;
  readonly judgement: ReportJudgement;
  /** What is kept of it where it is not booked. */
  readonly body: PlainJson;
}

/**
 * Books what another proxy reports of the past, by force. `nonce` names the delivery and is remembered for `nonceKeepMs`; a delivery
 * that was taken before is refused. With `nonce` null it is our own second attempt at events that are quarantined: only those are booked.
 */
export interface ReportUsageCommand extends CommandBase {
  readonly verb: 'report-usage';
  readonly reporterId: string;
  readonly nonce: string | null;
  readonly nonceKeepMs: number;
  readonly items: readonly ReportItem[];
}

/** Every command of the ledger. */
export type LedgerCommand =
  | ReserveCommand
  | CommitCommand
  | ReleaseCommand
  | ExtendCommand
  | DebitCommand
  | FundCommand
  | AllocateCommand
  | ExpireCommand
  | KeepCallCommand
  | SettleCallCommand
  | ReportUsageCommand;

import type { CommandOrigin } from './command-origin.ts';
import type { Effect, IdempotencyRecord, IdempotencyRef } from './effects.ts';
import type { Account, AccountId } from './ledger/account.ts';
import type { PlainJson } from './json/plain-json.ts';
import type { Reservation } from './ledger/reservation.ts';
import type { RateRef, RateWindow } from './policy/rate-window.ts';
import type { RecordKind, RecordRef, RecordTypes } from './records.ts';
import type { Outcome, RejectionCode } from './rejection.ts';
import type { ReportRef, UsageReport } from './usage/usage-report.ts';
import type { Spending, SpendingRef } from './windows/spending.ts';

/**
 * How the surface that a command came by answers: with which status where it is done, and with which status and code each refusal.
 * Refusals that are not among them have none.
 */
export interface AuditAnswers {
  readonly done: number;
  readonly refused: Readonly<Partial<Record<RejectionCode, readonly [status: number, code: string]>>>;
}

/** Who sent a management command; such a command leaves an audit row, whether it succeeds or is refused. */
export interface CommandAudit {
  readonly id: string;
  readonly operation: string;
  readonly actorKind: 'operator' | 'admin_key' | 'management_key' | 'tenant_key' | 'system';
  readonly actorId: string;
  readonly resourceKind: string;
  readonly resourceId: string;
  readonly requestId: string;
  readonly traceId?: string;
  readonly sourceIp?: string;
  readonly userAgent?: string;
  /** Who the operator is, where a key of the tenant could have done the same. Source: Cycles governance, `AuditLogEntry`. */
  readonly actorType?: 'admin_on_behalf_of';
  readonly answers?: AuditAnswers;
  /** A refusal leaves no row: its caller has had so many that they are only counted. */
  readonly isRefusalCounted?: true;
  readonly metadata?: PlainJson;
}

/**
 * A request to change something, as plain data that survives a structured clone. `id` is unique and names the events that come of it.
 * `tenantId` is whose rows it touches ({@link SYSTEM_TENANT} for server-wide records).
 */
export interface CommandBase {
  readonly verb: string;
  readonly id: string;
  readonly tenantId: string;
  readonly audit?: CommandAudit;
  readonly origin?: CommandOrigin;
}

/**
 * The rows that a decision looks at. A store loads and locks them before it decides: the tenant (shared, or exclusively where records
 * change), then accounts, reservations with the accounts of their legs, counts of policies, idempotency records and other records.
 */
export interface Needs {
  readonly tenantLock: 'shared' | 'exclusive';
  /** Further tenants whose rows it touches, to be locked shared. */
  readonly lockedTenants?: readonly string[];
  readonly accounts?: readonly AccountId[];
  readonly reservations?: readonly string[];
  readonly idempotency?: readonly IdempotencyRef[];
  readonly records?: readonly RecordRef[];
  readonly reports?: readonly ReportRef[];
  readonly rates?: readonly RateRef[];
  /** For a command that holds its tenant's lock exclusively; the accounts of what it finds are loaded with it. */
  readonly spending?: SpendingRef;
}

/**
 * The loaded rows, as they are after the commands before this one. The tenant record of the command's tenant is always loaded.
 * Asking for a row that was neither named in {@link Needs} nor created in this batch is an invariant violation, not `undefined`.
 */
export interface State {
  account(id: AccountId): Account | undefined;
  /** Whether an account was named in {@link Needs}, by this command or another one of the batch. */
  isLoaded(id: AccountId): boolean;
  /** What {@link Needs} asked for as `spending`. */
  spending(ref: SpendingRef): Spending;
  reservation(id: string): Reservation | undefined;
  idempotency(ref: IdempotencyRef): IdempotencyRecord | undefined;
  record<K extends RecordKind>(kind: K, id: string): RecordTypes[K] | undefined;
  report(ref: ReportRef): UsageReport | undefined;
  rate(ref: RateRef): RateWindow | undefined;
  /** Whether a reservation holds. May be asked of those in {@link Needs} and of those that keep an answer in it. */
  isHeld(reservationId: string): boolean;
}

/**
 * What a decision comes to. A refusal has, as a rule, no effects. `isReplay`: the answer is that of an earlier command, which has its
 * audit row already. `auditMetadata` is added to what the command's audit row says; `auditStatus` is the status of what was done, where it
 * is not the usual one.
 */
export interface Decision<T> {
  readonly outcome: Outcome<T>;
  readonly effects: readonly Effect[];
  readonly isReplay?: true;
  readonly auditMetadata?: { readonly [name: string]: PlainJson };
  readonly auditStatus?: number;
}

/**
 * One verb of the program: which rows it needs and what it decides on them. Both functions are pure and synchronous; `nowMs` is the
 * batch's time, which never goes back. The order of the checks in `decide` is the documented precedence.
 */
export interface Verb<C extends CommandBase, T> {
  readonly needs: (command: C) => Needs;
  readonly decide: (state: State, command: C, nowMs: number) => Decision<T>;
}

/** A refusal without effects. */
export const refuse = (outcome: { readonly ok: false; readonly rejection: import('./rejection.ts').Rejection }): Decision<never> => ({
  outcome,
  effects: [],
});

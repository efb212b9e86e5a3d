import type { AccountSnapshot } from './ledger/account.ts';
import type { RateStanding } from './policy/rate-window.ts';

/**
 * Every expected refusal of the program, with what it means. A surface maps all of them to its own status and code; the compiler
 * refuses a surface that forgets one (`Record<RejectionCode, ...>`).
 */
export const REJECTIONS = {
  invalid_request: 'A field breaks a rule; `field` names it.',
  unauthorized: 'No credential, or one that nobody has.',
  key_expired: 'The credential was good until its expiry.',
  key_disabled: 'The credential is switched off.',
  key_revoked: 'The credential was revoked.',
  insufficient_permissions: 'The credential is good but lacks the permission, or its scopes do not cover the subject.',
  forbidden: 'The credential is good but may not do this.',
  not_found: 'Nothing of that name is visible to this credential.',
  conflict: 'The name or id is taken, or the state does not allow it.',
  invalid_transition: 'The state of the thing does not allow the change.',
  already_in_state: 'The thing is in the state already that it should be taken to.',
  webhook_not_found: 'No such webhook subscription is visible to this credential.',
  webhook_url_invalid: 'The address of a webhook is not one that may be called.',
  event_not_found: 'No such event is visible to this credential.',
  replay_in_progress: 'Events of this subscription are being replayed already.',
  count_mismatch: 'Other than the expected number of things match; nothing was changed.',
  too_many_matches: 'More things match than one request may change.',
  tenant_not_found: 'No such tenant.',
  key_already_revoked: 'The key is revoked, and stays as it is.',
  key_already_expired: 'The key has expired, and stays as it is.',
  rate_limited: 'A policy, or a limit of a key, model or upstream, allows no more of this in the present minute.',
  managed_by_file: 'The configuration file declares this field, so only the file can change it.',
  payment_required: 'The tenant has no active token billing.',
  key_limit_reached: 'The tenant has as many keys as it is entitled to.',
  tenant_suspended: 'The tenant is suspended: nothing new starts.',
  tenant_closed: 'The tenant is closed for ever.',
  budget_frozen: 'A budget that covers the subject is frozen.',
  budget_closed: 'A budget that covers the subject is closed.',
  over_limit: 'A budget is over its overdraft limit.',
  debt_outstanding: 'A budget without an overdraft limit has debt.',
  budget_exceeded: 'A budget has too little left, whatever is held.',
  cap_exceeded: 'The cap of the key has too little left, whatever is held.',
  balance_empty: 'The prepaid balance has too little left, whatever is held.',
  window_exceeded: 'A budget window has too little left until it resets.',
  held: 'Only holds of calls in flight are in the way: trying again soon helps.',
  budget_required: 'The tenant demands a money account for every call, and none covers this one.',
  budget_not_found: 'No budget covers the subject in this unit.',
  unit_mismatch: 'The subject has budgets, but none in this unit.',
  reservation_not_found: 'No such reservation.',
  reservation_finalized: 'The reservation is settled already.',
  reservation_expired: 'The reservation ran out of time.',
  max_extensions_exceeded: 'The reservation was extended as often as it may be.',
  idempotency_mismatch: 'The idempotency key was used with another body.',
  amount_out_of_range: 'The amount does not fit into 64 bits, or would take an account beyond them.',
  model_not_found: 'No such model for this tenant.',
  stale_view: 'What the command was made from has changed meanwhile: it is to be made anew.',
  no_upstream_left: 'Every upstream of the model was filtered out; the message says which filter removed which.',
  model_unpriced: 'The model has no price, and the tenant does not allow unpriced calls.',
} as const;

/** The code of an expected refusal: a key of {@link REJECTIONS}. */
export type RejectionCode = keyof typeof REJECTIONS;

/**
 * An expected refusal: part of the contract, a returned value, never thrown by a decision.
 *
 * `message` is one sentence for people that holds no secret. `field` names the offending input. `account` says which account
 * refused. `details` are plain values that a surface may show.
 */
export interface Rejection {
  readonly code: RejectionCode;
  readonly message: string;
  readonly field?: string;
  readonly account?: AccountSnapshot;
  readonly details?: Readonly<Record<string, unknown>>;
  /** How the limits of requests and tokens a minute stand that apply, where one of them refused. */
  readonly rates?: readonly RateStanding[];
  /** Whose credential was not good enough, for the audit and those who watch: never shown. */
  readonly about?: { readonly tenantId: string; readonly keyId: string };
  /** When trying again may help, for refusals that pass with time. */
  readonly retryAfterMs?: number;
}

/** What a command came to: a value, or a rejection that changed nothing but may have left an audit row. */
export type Outcome<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly rejection: Rejection };

/** Wraps the value of a command that succeeded. */
export const accepted = <T>(value: T): Outcome<T> => ({ ok: true, value });

/** Wraps a refusal. */
export const rejected = (rejection: Rejection): { readonly ok: false; readonly rejection: Rejection } => ({ ok: false, rejection });

import type { PlainJson } from '../json/plain-json.ts';
import { endOfLabel } from '../windows/window-period.ts';

/**
 * The kinds of account. `budget`: a Cycles budget (a tenant's money budget is the one at `tenant:<id>` in USD_MICROCENTS).
 * `key_cap`: what one key may use, scope `key:<id>`. `window`: a rule's account of one period. `balance`: prepaid money.
 */
export type AccountKind = 'budget' | 'key_cap' | 'window' | 'balance';

/** A unit of account. The four of the Cycles protocol; a balance counts micro-cents of its own currency, such as `EUR_MICROCENTS`. */
export type Unit = string;

/** Unit of token counts. */
export const TOKENS: Unit = 'TOKENS';

/** Unit of money: 1 USD is 100,000,000 micro-cents. Source: Cycles protocol, `UnitEnum`. */
export const USD_MICROCENTS: Unit = 'USD_MICROCENTS';

/** Whether a budget takes new spend. Source: Cycles governance, `BudgetStatus`. */
export type AccountStatus = 'ACTIVE' | 'FROZEN' | 'CLOSED';

/** What happens when the actual amount is above the held one. Source: Cycles protocol, `CommitOveragePolicy`. */
export type OveragePolicy = 'REJECT' | 'ALLOW_IF_AVAILABLE' | 'ALLOW_WITH_OVERDRAFT';

/** What becomes of what is left of a budget when its period ends. Source: Cycles governance, `rollover_policy`. */
export type RolloverPolicy = 'NONE' | 'CARRY_FORWARD' | 'CAP_AT_ALLOCATED';

/**
 * How long the periods of a budget are: calendar months by a day of the month (the last day of a month that has no such day), or a
 * fixed length. A period's end lies `gapMs` before the next one's start: 0, or the last second or millisecond that an end was written as.
 */
export type PeriodLength =
  | { readonly months: number; readonly day: number; readonly gapMs: number }
  | { readonly ms: number; readonly gapMs: number };

/**
 * What a Cycles budget has beside its amounts. `carried` is the part of its allocation that came from the period before, decimal int64;
 * absent: none. `periodLength` is there where the period has an end. Moments in milliseconds; a budget without `periodEndMs` has no periods. Source: Cycles
 * governance, `BudgetLedger`.
 */
export interface BudgetTerms {
  readonly ledgerId: string;
  readonly metadata: PlainJson;
  readonly rolloverPolicy: RolloverPolicy;
  readonly periodStartMs: number | null;
  readonly periodEndMs: number | null;
  readonly periodLength?: PeriodLength;
  readonly carried?: string;
  readonly updatedAtMs: number;
  /** Absent while the budget is not closed. */
  readonly closedAtMs?: number;
}

/** What a window keeps of its last manual reset: what was spent by then, which counts no more, and when it was. */
export interface WindowReset {
  readonly resetSpent: bigint;
  readonly resetAtMs: number;
}

/** Identity of an account: its five parts joined by `|`, in the order tenant, kind, scope, unit, period. */
export type AccountId = string & { readonly __brand: 'AccountId' };

/** The parts that identify an account. `period` is empty but for windows (`2026-11`, `2026-W47`, `2026-11-22`). No part holds a `|`. */
export interface AccountRef {
  readonly tenantId: string;
  readonly kind: AccountKind;
  readonly scope: string;
  readonly unit: Unit;
  readonly period: string;
}

/**
 * One ledger row. Amounts are int64 in the account's unit; `remaining = allocated - spent - reserved - debt`, always (L1).
 *
 * `allocated` null means unlimited: the account counts and never refuses. Spent, reserved and debt are never negative; remaining may
 * be, after a forced settle, an overdraft or a lowered allocation.
 */
export interface Account extends AccountRef {
  readonly id: AccountId;
  readonly allocated: bigint | null;
  readonly spent: bigint;
  readonly reserved: bigint;
  readonly debt: bigint;
  readonly overdraftLimit: bigint;
  readonly isOverLimit: boolean;
  readonly status: AccountStatus;
  readonly overagePolicy: OveragePolicy | null;
  readonly createdAtMs: number;
  /** Absent or null for accounts that no Cycles client made. */
  readonly budget?: BudgetTerms | null;
  /** Of windows that were reset by hand; their `allocated` is their limit and what was spent by then. */
  readonly window?: WindowReset;
}

/** What a refusal tells of the account that refused. `resetsAtMs` is null where the account never resets, such as a key cap. */
export interface AccountSnapshot {
  readonly kind: AccountKind;
  readonly scope: string;
  readonly unit: Unit;
  readonly limit: bigint | null;
  readonly spent: bigint;
  readonly reserved: bigint;
  readonly remaining: bigint | null;
  readonly resetsAtMs: number | null;
  /** Of a window, the id of the rule that limits it. */
  readonly rule?: string;
}

/** Joins the parts of an account's identity. */
export const accountId = (ref: AccountRef): AccountId => `${ref.tenantId}|${ref.kind}|${ref.scope}|${ref.unit}|${ref.period}` as AccountId;

/** Splits an account's identity into its parts again. */
export function parseAccountId(id: AccountId): AccountRef {
  const [tenantId = '', kind = '', scope = '', unit = '', period = ''] = id.split('|');
  return { tenantId, kind: kind as AccountKind, scope, unit, period };
}

/** The account that caps one key in `unit`: tokens, or money. */
export const keyCapId = (tenantId: string, keyId: string, unit: Unit): AccountId =>
  accountId({ tenantId, kind: 'key_cap', scope: `key:${keyId}`, unit, period: '' });

/** The budget of a scope path, such as `tenant:acme/app:bot`, in `unit`. */
export const budgetId = (tenantId: string, scope: string, unit: Unit): AccountId =>
  accountId({ tenantId, kind: 'budget', scope, unit, period: '' });

/** A new account with nothing allocated, spent, held or owed. `unlimited` accounts have `allocated` null. */
export const newAccount = (id: AccountId, options: { nowMs: number; unlimited: boolean }): Account => ({
  ...parseAccountId(id),
  id,
  allocated: options.unlimited ? null : 0n,
  spent: 0n,
  reserved: 0n,
  debt: 0n,
  overdraftLimit: 0n,
  isOverLimit: false,
  status: 'ACTIVE',
  overagePolicy: null,
  createdAtMs: options.nowMs,
});

/** What is left to hold or spend, in the account's unit; null where the account is unlimited. May be negative. */
export const remainingOf = (account: Account): bigint | null =>
  account.allocated === null ? null : account.allocated - account.spent - account.reserved - account.debt;

/** What of an account counts: of a window that was reset, its limit and what was spent since. */
export const countedOf = (account: Account): { readonly limit: bigint | null; readonly spent: bigint } => {
  const before = account.window?.resetSpent ?? 0n;
  return { limit: account.allocated === null ? null : account.allocated - before, spent: account.spent - before };
};

/** What a refusal may tell of `account`. */
export const snapshotOf = (account: Account): AccountSnapshot => ({
  kind: account.kind,
  scope: account.scope,
  unit: account.unit,
  ...countedOf(account),
  reserved: account.reserved,
  remaining: remainingOf(account),
  resetsAtMs: account.kind === 'window' ? endOfLabel(account.period) : (account.budget?.periodEndMs ?? null),
});

import {
  accountId,
  type Account,
  type AccountKind,
  type AccountStatus,
  type BudgetTerms,
  type OveragePolicy,
} from '../../core/ledger/account.ts';
import { usedPercentOf } from '../../core/budgets/budget-query.ts';
import { termsSum } from './checksums.ts';

/** A row of `accounts` as both drivers give it: every integer as a bigint, flags as 0 or 1. */
export interface AccountRow {
  readonly no: bigint;
  readonly tenant_id: string;
  readonly kind: string;
  readonly scope: string;
  readonly unit: string;
  readonly period: string;
  readonly allocated: bigint | null;
  readonly spent: bigint;
  readonly reserved: bigint;
  readonly debt: bigint;
  readonly overdraft_limit: bigint;
  readonly is_over_limit: bigint | number;
  readonly status: string;
  readonly overage_policy: string | null;
  readonly created_at_ms: bigint;
  readonly terms: string | null;
}

/** The columns that identify an account, in the order of {@link accountKeyValues}. */
const ACCOUNT_KEY_COLUMNS = ['tenant_id', 'kind', 'scope', 'unit', 'period'] as const;

/** The columns that change after an account was made, in the order of {@link accountStateValues}. */
export const ACCOUNT_STATE_COLUMNS = [
  'allocated',
  'spent',
  'reserved',
  'debt',
  'overdraft_limit',
  'is_over_limit',
  'status',
  'overage_policy',
  'terms',
  'terms_sum',
  'used_percent',
] as const;

/** All columns but `no`, which the database gives, and `journal_sum`, which grows with the entries: identity, state, time of creation. */
export const ACCOUNT_COLUMNS = [...ACCOUNT_KEY_COLUMNS, ...ACCOUNT_STATE_COLUMNS, 'created_at_ms'] as const;

/** A value to bind: amounts are bigints, moments and flags numbers. */
export type AccountValue = string | number | bigint | null;

/** The parts of an account's identity. */
export const accountKeyValues = (ref: Pick<Account, 'tenantId' | 'kind' | 'scope' | 'unit' | 'period'>): AccountValue[] => [
  ref.tenantId,
  ref.kind,
  ref.scope,
  ref.unit,
  ref.period,
];

/** What may change of an account. */
export const accountStateValues = (account: Account): AccountValue[] => [
  account.allocated,
  account.spent,
  account.reserved,
  account.debt,
  account.overdraftLimit,
  account.isOverLimit ? 1 : 0,
  account.status,
  account.overagePolicy,
  termsText(account),
  termsSum(account),
  usedPercentOf(account),
];

/** What the column `terms` keeps: the terms of a budget, or the last reset of a window. */
function termsText({ budget, window }: Account): string | null {
  if (window !== undefined) return JSON.stringify({ resetSpent: `${window.resetSpent}`, resetAtMs: window.resetAtMs });
  return budget === undefined || budget === null ? null : JSON.stringify(budget);
}

function termsOf(kind: string, text: string): Pick<Account, 'budget' | 'window'> {
  if (kind !== 'window') return { budget: JSON.parse(text) as BudgetTerms };
  const { resetSpent, resetAtMs } = JSON.parse(text) as { readonly resetSpent: string; readonly resetAtMs: number };
  return { window: { resetSpent: BigInt(resetSpent), resetAtMs } };
}

/** The values of {@link ACCOUNT_COLUMNS}. */
export const accountValues = (account: Account): AccountValue[] => [
  ...accountKeyValues(account),
  ...accountStateValues(account),
  account.createdAtMs,
];

/** The account of a row. */
export function accountFromRow(row: AccountRow): Account {
  const ref = { tenantId: row.tenant_id, kind: row.kind as AccountKind, scope: row.scope, unit: row.unit, period: row.period };
  return {
    ...ref,
    id: accountId(ref),
    allocated: row.allocated,
    spent: row.spent,
    reserved: row.reserved,
    debt: row.debt,
    overdraftLimit: row.overdraft_limit,
    isOverLimit: Boolean(row.is_over_limit),
    status: row.status as AccountStatus,
    overagePolicy: row.overage_policy as OveragePolicy | null,
    createdAtMs: Number(row.created_at_ms),
    ...(row.terms === null ? {} : termsOf(row.kind, row.terms)),
  };
}

import type { Account, AccountStatus, Unit } from '../ledger/account.ts';
import { isWithin, meetsOneOfEach, type ScopeCondition } from '../cycles/scope.ts';

/** What a budget has used of its allocation, as a fraction: 0 where nothing is allocated, above 1 where more is spent. */
const utilizationOf = ({ spent, allocated }: Pick<Account, 'spent' | 'allocated'>): number =>
  allocated === null || allocated <= 0n ? 0 : Number(spent) / Number(allocated);

/** Beyond this many percent, budgets are sorted alike: nobody tells them apart by it. */
const MAX_PERCENT = 1_000_000;

/** A utilization in whole percent rounded up; 0 for none at all. It never falls where the utilization rises. */
export const percentOf = (utilization: number): number => Math.min(MAX_PERCENT, Math.ceil(utilization * 100));

/** What stores keep to find budgets by their use: {@link percentOf}; null for accounts that are no budgets. */
export const usedPercentOf = (account: Account): number | null => (account.kind === 'budget' ? percentOf(utilizationOf(account)) : null);

/** What budgets can be sorted by. Source: Cycles governance, listBudgets. */
export const BUDGET_SORT_KEYS = ['tenant_id', 'scope', 'unit', 'status', 'commit_overage_policy', 'utilization', 'debt'] as const;

/** One of {@link BUDGET_SORT_KEYS}. */
export type BudgetSortKey = (typeof BUDGET_SORT_KEYS)[number];

/**
 * Which budgets are meant: those with a limit that meet all that is given. `scopePrefix` is taken by whole segments, `search` is a part of
 * tenant or scope in lower case, bounds of the utilization are inclusive. Of each list in `scopes` one condition must hold.
 */
export interface BudgetFilter {
  readonly tenantId?: string;
  readonly scopePrefix?: string;
  readonly unit?: Unit;
  readonly status?: AccountStatus;
  readonly isOverLimit?: boolean;
  readonly hasDebt?: boolean;
  readonly utilizationMin?: number;
  readonly utilizationMax?: number;
  readonly search?: string;
  readonly scopes?: readonly (readonly ScopeCondition[])[];
}

/** Where a page of budgets ended: what its last one was sorted by (debt as decimal text), and what tells it from all others. */
export interface BudgetPosition {
  readonly value: string | number;
  readonly tenantId: string;
  readonly scope: string;
  readonly unit: Unit;
}

/** A part of a list of budgets, in the order of `sortBy` and, where that is the same, tenant, scope and unit; all of them descending or none. */
export interface BudgetQuery extends BudgetFilter {
  readonly sortBy: BudgetSortKey;
  readonly descending: boolean;
  readonly after: BudgetPosition | null;
  readonly limit: number;
}

/** What `account` is sorted by. */
export function sortValueOf(account: Account, sortBy: BudgetSortKey): string | number {
  switch (sortBy) {
    case 'tenant_id':
      return account.tenantId;
    case 'scope':
      return account.scope;
    case 'unit':
      return account.unit;
    case 'status':
      return account.status;
    case 'commit_overage_policy':
      return account.overagePolicy ?? '';
    case 'utilization':
      return utilizationOf(account);
    case 'debt':
      return account.debt.toString();
  }
}

/** The position of `account` in a list sorted by `sortBy`. */
export const positionOf = (account: Account, sortBy: BudgetSortKey): BudgetPosition => ({
  value: sortValueOf(account, sortBy),
  tenantId: account.tenantId,
  scope: account.scope,
  unit: account.unit,
});

/** Whether `account` is one of those that `filter` means. */
export function matchesFilter(account: Account, filter: BudgetFilter): boolean {
  const { tenantId, scopePrefix, unit, status, isOverLimit, hasDebt, utilizationMin = 0, utilizationMax, search, scopes = [] } = filter;
  const utilization = utilizationOf(account);
  return (
    account.kind === 'budget' &&
    account.allocated !== null &&
    (tenantId === undefined || account.tenantId === tenantId) &&
    (scopePrefix === undefined || isWithin(account.scope, scopePrefix)) &&
    (unit === undefined || account.unit === unit) &&
    (status === undefined || account.status === status) &&
    (isOverLimit === undefined || account.isOverLimit === isOverLimit) &&
    (hasDebt === undefined || account.debt > 0n === hasDebt) &&
    utilization >= utilizationMin &&
    (utilizationMax === undefined || utilization <= utilizationMax) &&
    (search === undefined || account.tenantId.includes(search) || account.scope.includes(search)) &&
    meetsOneOfEach(account.scope, scopes)
  );
}

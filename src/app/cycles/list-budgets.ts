import type { BudgetFilter, BudgetQuery } from '../../core/budgets/budget-query.ts';
import { conditionsOf, parseScope } from '../../core/cycles/scope.ts';
import type { Account } from '../../core/ledger/account.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { refuseScope, type CyclesCaller } from './cycles-caller.ts';

/** Which budgets a request means, as it came. `tenantId` is looked at where the operator asks. */
export type WantedBudgets = Omit<BudgetFilter, 'scopes'>;

/**
 * The budgets that a caller may see of those that it wants: a key sees its own tenant's, within its scope filter.
 *
 * Rejects, in this order: `invalid_request` (the prefix is no scope; the bounds of the utilization are crossed), `insufficient_permissions`
 * (the key's scope filter does not cover the prefix). Source: Cycles governance, listBudgets.
 */
export function visibleBudgets(caller: CyclesCaller, wanted: WantedBudgets): Outcome<BudgetFilter> {
  const { scopePrefix: prefix, tenantId: named, utilizationMin, utilizationMax, ...rest } = wanted;
  if (utilizationMin !== undefined && utilizationMax !== undefined && utilizationMin > utilizationMax) {
    const message = 'utilization_min must not be greater than utilization_max';
    return rejected({ code: 'invalid_request', message, field: 'utilization_min' });
  }
  // A final slash says no more than the prefix does: both are taken by whole segments.
  const scope = prefix === undefined ? null : parseScope(prefix.replace(/\/$/, ''), 'scope_prefix');
  if (scope !== null && !scope.ok) return scope;
  const refusal = scope === null ? null : refuseScope(caller, scope.value.path);
  if (refusal !== null) return rejected(refusal);
  // The prefix names the tenant too, and with it the store finds the rows sooner; where both are given and differ, nothing matches.
  const tenantId = caller.kind === 'tenant' ? caller.tenantId : (named ?? scope?.value.tenantId);
  return accepted({
    ...rest,
    ...(tenantId === undefined ? {} : { tenantId }),
    ...(scope === null ? {} : { scopePrefix: scope.value.path }),
    ...(utilizationMin === undefined ? {} : { utilizationMin }),
    ...(utilizationMax === undefined ? {} : { utilizationMax }),
    ...(caller.kind === 'tenant' && caller.scopeFilter.length > 0 ? { scopes: conditionsOf(caller.scopeFilter) } : {}),
  });
}

/** Makes the use case that reads a part of a list of budgets: one more than `limit` where more follow. Rejects as {@link visibleBudgets}. */
export const makeListBudgets =
  ({ records }: { readonly records: Pick<RecordStore, 'budgets'> }) =>
  async (
    caller: CyclesCaller,
    wanted: WantedBudgets,
    page: Pick<BudgetQuery, 'sortBy' | 'descending' | 'after' | 'limit'>,
  ): Promise<Outcome<Account[]>> => {
    const filter = visibleBudgets(caller, wanted);
    return filter.ok ? accepted(await records.budgets({ ...filter.value, ...page, limit: page.limit + 1 })) : filter;
  };

/** Reads a part of a list of budgets. */
export type ListBudgets = ReturnType<typeof makeListBudgets>;

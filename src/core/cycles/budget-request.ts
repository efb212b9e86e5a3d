import { budgetId, type Account, type AccountId } from '../ledger/account.ts';
import { isCovered, refuseUncovered } from '../ledger/coverage.ts';
import { refuseTenant } from '../ledger/refusals.ts';
import { refuseLeg } from '../ledger/reserve.ts';
import { refuseRate } from '../policy/rate-limit.ts';
import type { Rejection } from '../rejection.ts';
import type { State } from '../verb.ts';
import type { BudgetRequest } from './runtime-commands.ts';
import { CYCLES_UNITS } from './units.ts';

/** The scopes of a path, from the widest to the path itself. */
export function scopesOf(path: string): string[] {
  const scopes: string[] = [];
  for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1)) scopes.push(path.slice(0, end));
  scopes.push(path);
  return scopes;
}

/** The accounts that a request may be covered by, widest scope first; with those in other units behind them where it asks for them. */
export function accountsWanted(tenantId: string, request: Pick<BudgetRequest, 'scopePath' | 'unit' | 'withOtherUnits'>): AccountId[] {
  const scopes = scopesOf(request.scopePath);
  const own = scopes.map((scope) => budgetId(tenantId, scope, request.unit));
  return request.withOtherUnits ? [...own, ...otherUnitAccounts(tenantId, request)] : own;
}

const otherUnitAccounts = (tenantId: string, { scopePath, unit }: Pick<BudgetRequest, 'scopePath' | 'unit'>): AccountId[] =>
  scopesOf(scopePath).flatMap((scope) => CYCLES_UNITS.filter((other) => other !== unit).map((other) => budgetId(tenantId, scope, other)));

/** The accounts of a request that exist, widest scope first. Those without a limit are among them: they count, and are no budgets. */
export const accountsOf = (state: State, tenantId: string, { scopePath, unit }: Pick<BudgetRequest, 'scopePath' | 'unit'>): Account[] =>
  scopesOf(scopePath)
    .map((scope) => state.account(budgetId(tenantId, scope, unit)))
    .filter((account) => account !== undefined);

/** The refusal of a request that no budget covers: `unit_mismatch`, or `budget_not_found`, also where other units were not looked at. */
export const refuseRequest = (state: State, tenantId: string, request: BudgetRequest): Rejection =>
  refuseUncovered(state, { ...request, others: request.withOtherUnits ? otherUnitAccounts(tenantId, request) : [] });

/** The accounts that a request would be held on, or why it is not. See {@link reserveBudgetVerb} for the order. */
export function admit(state: State, tenantId: string, request: BudgetRequest, nowMs: number): Account[] | Rejection {
  const refusal = refuseTenant(state, tenantId) ?? refuseRate(state, tenantId, request.limit, nowMs);
  if (refusal !== null) return refusal;
  const accounts = accountsOf(state, tenantId, request);
  if (!isCovered(accounts)) return refuseRequest(state, tenantId, request);
  for (const account of accounts) {
    const short = refuseLeg(account, request.amount, 'budget');
    if (short !== null) return short;
  }
  return accounts;
}

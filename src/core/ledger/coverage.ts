import type { Rejection } from '../rejection.ts';
import type { State } from '../verb.ts';
import type { Account, AccountId, Unit } from './account.ts';

/** Whether any of `accounts` is a budget: one that has a limit. One without only counts. */
export const isCovered = (accounts: readonly Account[]): boolean => accounts.some(({ allocated }) => allocated !== null);

/**
 * The refusal of a spend that no budget covers: `unit_mismatch` where one of `others`, the accounts of its scopes in other units, is a
 * budget, else `budget_not_found`. The details of a mismatch are those that the protocol names. Source: Cycles runtime spec, ERROR SEMANTICS.
 */
export function refuseUncovered(
  state: State,
  spend: { readonly scopePath: string; readonly unit: Unit; readonly others: readonly AccountId[] },
): Rejection {
  const { scopePath, unit } = spend;
  const budgets = spend.others.map((id) => state.account(id)).filter((account) => account !== undefined && account.allocated !== null);
  const scope = budgets[0]?.scope;
  if (scope === undefined)
    return { code: 'budget_not_found', message: `Budget not found for provided scope: ${scopePath}`, details: { scope: scopePath, unit } };
  const units = budgets.filter((account) => account?.scope === scope).map((account) => account?.unit);
  return {
    code: 'unit_mismatch',
    message: `the budgets of ${scope} are in ${units.join(', ')}, not in ${unit}`,
    details: { scope, requested_unit: unit, expected_units: units },
  };
}

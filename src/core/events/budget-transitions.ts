import type { Effect } from '../effects.ts';
import { remainingOf, type Account, type OveragePolicy } from '../ledger/account.ts';
import { budgetThresholdData } from './crossed-thresholds.ts';
import type { Cause, StateEvent } from './state-event.ts';

/** What an event tells of a budget's debt. Source: Cycles governance, `EventDataBudgetOverLimit`. */
const overLimitData = (account: Account): StateEvent['data'] => ({
  scope: account.scope,
  unit: account.unit,
  debt: `${account.debt}`,
  overdraft_limit: `${account.overdraftLimit}`,
  is_over_limit: account.isOverLimit,
  ...(account.overdraftLimit > 0n ? { debt_utilization: Number((account.debt * 1_000_000n) / account.overdraftLimit) / 1_000_000 } : {}),
});

/** The reservation that a command settled and the policy under which it owes; a direct charge has the policy in its command. */
function overageOf(cause: Cause, effects: readonly Effect[]): { readonly reservationId?: string; readonly policy?: OveragePolicy } {
  const settled = effects.find((effect) => effect.type === 'reservation')?.reservation;
  if (settled !== undefined) return { reservationId: settled.id, policy: settled.overagePolicy };
  const { overagePolicy } = cause as { overagePolicy?: OveragePolicy };
  return overagePolicy === undefined ? {} : { policy: overagePolicy };
}

/**
 * The transitions of one budget: used up (what remains went from above 0 to 0 or below), over its limit or back, deeper in debt. Which
 * command did it does not matter. Source: Cycles governance, budget runtime events.
 */
export function budgetEvents(
  account: Account,
  was: Account | undefined,
  by: { readonly cause: Cause; readonly effects: readonly Effect[] },
): StateEvent[] {
  if (was === undefined) return [];
  const base = { tenantId: account.tenantId, scope: account.scope };
  const events: StateEvent[] = [];
  const [remaining, before] = [remainingOf(account), remainingOf(was)];
  if (remaining !== null && before !== null && before > 0n && remaining <= 0n)
    events.push({ ...base, type: 'budget.exhausted', data: budgetThresholdData(account, 100, 'rising') });
  if (account.debt > was.debt) {
    const { reservationId, policy } = overageOf(by.cause, by.effects);
    const data = {
      scope: account.scope,
      unit: account.unit,
      ...(reservationId === undefined ? {} : { reservation_id: reservationId }),
      debt_incurred: `${account.debt - was.debt}`,
      total_debt: `${account.debt}`,
      overdraft_limit: `${account.overdraftLimit}`,
      ...(policy === undefined ? {} : { overage_policy: policy }),
    };
    events.push({ ...base, type: 'budget.debt_incurred', data });
  }
  if (account.isOverLimit !== was.isOverLimit)
    events.push({
      ...base,
      type: account.isOverLimit ? 'budget.over_limit_entered' : 'budget.over_limit_exited',
      data: overLimitData(account),
    });
  return events;
}

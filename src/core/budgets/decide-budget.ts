import { eventEffects, type Happening } from '../access/access-events.ts';
import type { Effect } from '../effects.ts';
import { INT64_MAX } from '../int64.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type { Account, AccountId } from '../ledger/account.ts';
import { refuseClosedTenant } from '../ledger/refusals.ts';
import { accepted, rejected, type Rejection } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { budgetHappening } from './budget-events.ts';
import type { CloseBudgetCommand, FreezeBudgetCommand, RefreshBudgetCommand, UpdateBudgetCommand } from './commands.ts';
import { ledgerIdOf, termsOf } from './ledger-id.ts';

const closedBudget = ({ scope }: Account): Rejection => ({ code: 'budget_closed', message: `the budget ${scope} is closed` });

/** The budget that a management command names, if it may be changed: `tenant_closed` and `budget_not_found` otherwise. */
function openBudget(state: State, command: { readonly tenantId: string; readonly accountId: AccountId }): Account | Rejection {
  const closed = refuseClosedTenant(state, command.tenantId);
  if (closed !== null) return closed;
  const account = state.account(command.accountId);
  // One without a limit only counts, and is no budget on the surfaces that name budgets.
  if (account === undefined || account.allocated === null) return { code: 'budget_not_found', message: 'there is no such budget' };
  return account;
}

/** A budget that changed in what is no amount. */
const changed = (
  account: Account,
  happenings: readonly Happening[],
  at: { command: UpdateBudgetCommand | FreezeBudgetCommand | CloseBudgetCommand; nowMs: number },
): Decision<Account> => ({
  outcome: accepted(account),
  effects: [{ type: 'account', account }, ...eventEffects(at.command, at.nowMs, happenings)],
});

const touched = (account: Account, changes: Partial<Account>, nowMs: number, metadata?: PlainJson): Account => ({
  ...account,
  ...changes,
  budget: { ...termsOf(account), ...(metadata === undefined ? {} : { metadata }), updatedAtMs: nowMs },
});

/**
 * Changes a budget's overdraft limit, overage policy or metadata, and with the limit whether it is over it. What is given and is so
 * already changes nothing and tells nobody. The value is the account as it is now.
 *
 * Rejects, in this order: `tenant_closed`, `budget_not_found`, `budget_closed`, `amount_out_of_range`. A frozen budget may be changed.
 * Source: Cycles governance, updateBudget.
 */
export const updateBudgetVerb: Verb<UpdateBudgetCommand, Account> = {
  needs: (command) => ({ tenantLock: 'shared', accounts: [command.accountId] }),
  decide: (state, command, nowMs) => {
    const before = openBudget(state, command);
    if ('code' in before) return refuse(rejected(before));
    if (before.status === 'CLOSED') return refuse(rejected(closedBudget(before)));
    const { overdraftLimit = before.overdraftLimit, overagePolicy = before.overagePolicy, metadata } = command;
    if (overdraftLimit < 0n || overdraftLimit > INT64_MAX) {
      const message = 'overdraft_limit must lie between 0 and 2^63 - 1';
      return refuse(rejected({ code: 'amount_out_of_range', message, field: 'overdraft_limit.amount' }));
    }
    const isOverLimit = command.overdraftLimit === undefined ? before.isOverLimit : before.debt > overdraftLimit;
    const account = touched(before, { overdraftLimit, overagePolicy, isOverLimit }, nowMs, metadata);
    const happening = budgetHappening('budget.updated', 'UPDATE', { previous: before, account });
    const { changed_fields: fields } = happening.data as { readonly changed_fields: readonly string[] };
    if (fields.length === 0) return { outcome: accepted(before), effects: [] };
    return changed(account, [happening], { command, nowMs });
  },
};

function decideFreeze(state: State, command: FreezeBudgetCommand, nowMs: number): Decision<Account> {
  const before = openBudget(state, command);
  if ('code' in before) return refuse(rejected(before));
  if (before.status === 'CLOSED') return refuse(rejected(closedBudget(before)));
  const freezes = command.verb === 'freeze-budget';
  if (before.status === (freezes ? 'FROZEN' : 'ACTIVE')) {
    const message = `the budget ${before.scope} is ${freezes ? 'frozen' : 'active'} already`;
    return refuse(rejected({ code: freezes ? 'budget_frozen' : 'already_in_state', message }));
  }
  const account = touched(before, { status: freezes ? 'FROZEN' : 'ACTIVE' }, nowMs);
  const { reason } = command;
  const change = { previous: before, account, ...(reason === undefined ? {} : { reason }) };
  return changed(account, [budgetHappening(freezes ? 'budget.frozen' : 'budget.unfrozen', 'STATUS_CHANGE', change)], { command, nowMs });
}

/**
 * Freezes an active budget, or makes a frozen one active. The value is the account as it is now.
 *
 * Rejects, in this order: `tenant_closed`, `budget_not_found`, `budget_closed`, `budget_frozen` (frozen already), `already_in_state`
 * (active already). Source: Cycles governance, freezeBudget and unfreezeBudget.
 */
export const freezeBudgetVerb: Verb<FreezeBudgetCommand, Account> = {
  needs: (command) => ({ tenantLock: 'shared', accounts: [command.accountId] }),
  decide: decideFreeze,
};

/** What the cascade of a tenant's close tells of a budget. Source: Cycles governance, `EventDataTenantCascade`. */
const cascadeHappening = (before: Account, account: Account): Happening => ({
  type: 'budget.closed_via_tenant_cascade',
  scope: account.scope,
  data: {
    ledger_id: ledgerIdOf(account),
    scope: account.scope,
    unit: account.unit,
    prior_status: before.status,
    new_status: 'CLOSED',
    cascade_reason: 'tenant_closed',
  },
});

/**
 * Closes a budget for ever. What it holds may still be committed or released. In a cascade one that is closed already, or is not there, is
 * left alone without a word, and its tenant may be closed. The value tells whether this command closed it.
 *
 * Rejects, but in a cascade, in this order: `tenant_closed`, `budget_not_found`, `budget_closed`.
 * Source: Cycles governance, `BudgetStatus` and CASCADE SEMANTICS, rule 1.
 */
export const closeBudgetVerb: Verb<CloseBudgetCommand, { readonly closed: boolean; readonly account: Account | null }> = {
  needs: (command) => ({ tenantLock: 'shared', accounts: [command.accountId] }),
  decide: (state, command, nowMs) => {
    const found = command.cascade ? state.account(command.accountId) : openBudget(state, command);
    if (found !== undefined && 'code' in found) return refuse(rejected(found));
    if (found === undefined) return { outcome: accepted({ closed: false, account: null }), effects: [] };
    if (found.status === 'CLOSED') {
      if (!command.cascade) return refuse(rejected(closedBudget(found)));
      return { outcome: accepted({ closed: false, account: found }), effects: [] };
    }
    const account = touched(found, { status: 'CLOSED' }, nowMs);
    const { reason } = command;
    const change = { previous: found, account, ...(reason === undefined ? {} : { reason }) };
    const happening = command.cascade ? cascadeHappening(found, account) : budgetHappening('budget.closed', 'STATUS_CHANGE', change);
    const effects: readonly Effect[] = changed(account, [happening], { command, nowMs }).effects;
    return { outcome: accepted({ closed: true, account }), effects };
  },
};

/**
 * Writes a budget's row anew as it is. A period that has ended was ended before this decision, as before every other that looks at the
 * budget; so this is for budgets that nobody else touches. Never rejects.
 */
export const refreshBudgetVerb: Verb<RefreshBudgetCommand, { readonly refreshed: boolean }> = {
  needs: (command) => ({ tenantLock: 'shared', accounts: [command.accountId] }),
  decide: (state, command) => {
    const account = state.account(command.accountId);
    if (account === undefined) return { outcome: accepted({ refreshed: false }), effects: [] };
    return { outcome: accepted({ refreshed: true }), effects: [{ type: 'account', account }] };
  },
};

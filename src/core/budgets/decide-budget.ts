import { eventEffects, type Happening } from '../access/access-events.ts';
import { checkMetadata } from '../access/rules.ts';
import { INT64_MAX } from '../int64.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type { Account, AccountId } from '../ledger/account.ts';
import { refuseClosedTenant } from '../ledger/refusals.ts';
import { accepted, rejected, type Rejection } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { budgetHappening } from './budget-events.ts';
import type { CloseBudgetCommand, FreezeBudgetCommand, RefreshBudgetCommand, UpdateBudgetCommand } from './commands.ts';
import { termsOf } from './ledger-id.ts';

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
 * Rejects, in this order: `tenant_closed`, `budget_not_found`, `budget_closed`, `amount_out_of_range`, `invalid_request` (the metadata). A frozen budget may be changed.
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
    const bad = metadata === undefined ? null : checkMetadata(metadata);
    if (bad !== null) return refuse(bad);
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

/**
 * Closes a budget for ever. What it holds may still be committed or released. The value is the account as it is now.
 *
 * Rejects, in this order: `tenant_closed`, `budget_not_found`, `budget_closed` (closed already). Source: Cycles governance,
 * `BudgetStatus`; how a budget of a tenant that lives on is closed is ours. A tenant's close takes its budgets with it by itself.
 */
export const closeBudgetVerb: Verb<CloseBudgetCommand, Account> = {
  needs: (command) => ({ tenantLock: 'shared', accounts: [command.accountId] }),
  decide: (state, command, nowMs) => {
    const before = openBudget(state, command);
    if ('code' in before) return refuse(rejected(before));
    if (before.status === 'CLOSED') return refuse(rejected(closedBudget(before)));
    const budget = { ...termsOf(before), updatedAtMs: nowMs, closedAtMs: nowMs };
    const account: Account = { ...before, status: 'CLOSED', budget };
    const { reason } = command;
    const change = { previous: before, account, ...(reason === undefined ? {} : { reason }) };
    return changed(account, [budgetHappening('budget.closed', 'STATUS_CHANGE', change)], { command, nowMs });
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

import { eventEffects, type Happening } from '../access/access-events.ts';
import { budgetHappening } from '../budgets/budget-events.ts';
import { termsOf } from '../budgets/ledger-id.ts';
import type { Effect } from '../effects.ts';
import { INT64_MAX, isInt64 } from '../int64.ts';
import { accepted, rejected, type Rejection } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { remainingOf, type Account } from './account.ts';
import type { FundCommand, FundOperation } from './commands.ts';
import type { EntryVerb } from './entry.ts';
import { decideOnce, idempotencyNeeds } from './idempotency.ts';
import { entryEffect, type Differences } from './journal.ts';
import { refuseClosedTenant, refuseStatus, shortOf } from './refusals.ts';

/** An account before and after a funding, decimal int64 in its unit. */
export interface FundAnswer {
  readonly operation: FundOperation;
  readonly previousAllocated: string;
  readonly newAllocated: string;
  readonly previousRemaining: string;
  readonly newRemaining: string;
  readonly previousDebt: string;
  readonly newDebt: string;
  readonly previousSpent: string;
  readonly newSpent: string;
  readonly atMs: number;
  readonly [name: string]: string | number;
}

const VERB_OF: Readonly<Record<FundOperation, EntryVerb>> = {
  CREDIT: 'credit',
  DEBIT: 'fund_debit',
  RESET: 'reset',
  RESET_SPENT: 'reset_spent',
  REPAY_DEBT: 'repay_debt',
};

const EVENT_OF: Readonly<Record<FundOperation, string>> = {
  CREDIT: 'budget.funded',
  DEBIT: 'budget.debited',
  RESET: 'budget.reset',
  RESET_SPENT: 'budget.reset_spent',
  REPAY_DEBT: 'budget.debt_repaid',
};

/** What a funding does, whatever it does it to. `spent` is looked at by RESET_SPENT only. */
export type Funding = Pick<FundCommand, 'operation' | 'amount' | 'spent' | 'reason'>;

/** What an operation changes on a limited account. Debts are repaid by REPAY_DEBT alone; what it leaves over is new allocation. */
function differencesOf(account: Account, funding: Funding): Required<Pick<Differences, 'dAllocated' | 'dSpent' | 'dDebt'>> {
  const { amount } = funding;
  const allocated = account.allocated ?? 0n;
  switch (funding.operation) {
    case 'CREDIT':
      return { dAllocated: amount, dSpent: 0n, dDebt: 0n };
    case 'DEBIT':
      return { dAllocated: -amount, dSpent: 0n, dDebt: 0n };
    case 'RESET':
      return { dAllocated: amount - allocated, dSpent: 0n, dDebt: 0n };
    case 'RESET_SPENT':
      return { dAllocated: amount - allocated, dSpent: (funding.spent ?? 0n) - account.spent, dDebt: 0n };
    case 'REPAY_DEBT': {
      const repaid = amount < account.debt ? amount : account.debt;
      return { dAllocated: amount - repaid, dSpent: 0n, dDebt: -repaid };
    }
  }
}

/** Refuses a funding of an account that exists, in the order that {@link fundVerb} documents; null where it may be done. */
export function refuseFunding(account: Account, funding: Funding): Rejection | null {
  const inactive = refuseStatus(account);
  if (inactive !== null) return inactive;
  if (account.allocated === null) return { code: 'conflict', message: `the account ${account.scope} has no limit to fund` };
  // Other operations ignore `spent`, whatever it is.
  const amounts = funding.operation === 'RESET_SPENT' ? [funding.amount, funding.spent ?? 0n] : [funding.amount];
  if (amounts.some((amount) => amount < 0n || amount > INT64_MAX)) {
    return { code: 'amount_out_of_range', message: 'amounts must lie between 0 and 2^63 - 1', field: 'amount' };
  }
  const remaining = remainingOf(account) ?? 0n;
  if (funding.operation === 'DEBIT' && remaining < funding.amount) return { ...shortOf(account, funding.amount), code: 'budget_exceeded' };
  const { dAllocated, dSpent, dDebt } = differencesOf(account, funding);
  if (!isInt64(account.allocated + dAllocated)) {
    return { code: 'amount_out_of_range', message: `the allocation of ${account.scope} would go past 2^63 - 1`, field: 'amount' };
  }
  // What is held and owed counts beside what is spent: together they may come to more than any one of them.
  const more = dAllocated - dSpent - dDebt;
  if (more < 0n && !isInt64(remaining + more)) {
    return { code: 'amount_out_of_range', message: `what remains of ${account.scope} would go below -2^63`, field: 'spent' };
  }
  return null;
}

/**
 * The terms of a budget that has `allocated` after `operation`. One that is resized begins anew: what it had carried from the period before
 * is part of the new size, or gone. One that shrinks has carried no more than it is left with.
 */
const termsAfter = (account: Account, operation: FundOperation, allocated: bigint, nowMs: number): Pick<Account, 'budget'> => {
  if (account.kind !== 'budget') return {};
  const { carried = '0', ...terms } = termsOf(account);
  const isResized = operation === 'RESET' || operation === 'RESET_SPENT';
  const kept = isResized ? 0n : BigInt(carried) < allocated ? BigInt(carried) : allocated;
  return { budget: { ...terms, ...(kept > 0n ? { carried: `${kept}` } : {}), updatedAtMs: nowMs } };
};

/** An account after a funding that {@link refuseFunding} lets through, with what that writes and, for a budget, what it is told as. */
export interface Funded {
  readonly account: Account;
  readonly effects: readonly Effect[];
  readonly happenings: readonly Happening[];
  /** Whether any amount or flag is other than before. */
  readonly isChanged: boolean;
}

/** Does a funding. `command` is the journal's name for who did it. */
export function fundAccount(before: Account, funding: Funding, at: { readonly command: string; readonly nowMs: number }): Funded {
  const { operation, reason } = funding;
  const differences = differencesOf(before, funding);
  const { dAllocated, dSpent, dDebt } = differences;
  const debt = before.debt + dDebt;
  const isOverLimit = debt > before.overdraftLimit;
  const allocated = (before.allocated ?? 0n) + dAllocated;
  const terms: Account = { ...before, isOverLimit, ...termsAfter(before, operation, allocated, at.nowMs) };
  const account: Account = { ...terms, allocated, spent: before.spent + dSpent, debt };
  const isFlagged = isOverLimit !== before.isOverLimit;
  const more = operation === 'RESET_SPENT' ? { spent_override_provided: funding.spent !== undefined } : {};
  const change = { previous: before, account, more, ...(reason === undefined ? {} : { reason }) };
  return {
    account,
    effects: [
      ...(isFlagged || before.kind === 'budget' ? [{ type: 'account', account: terms } as const] : []),
      entryEffect(before.id, { command: at.command, verb: VERB_OF[operation], atMs: at.nowMs, ...differences }),
    ],
    happenings: before.kind === 'budget' ? [budgetHappening(EVENT_OF[operation], operation, change)] : [],
    isChanged: isFlagged || dAllocated !== 0n || dSpent !== 0n || dDebt !== 0n,
  };
}

function decideFund(state: State, command: FundCommand, nowMs: number): Decision<FundAnswer> {
  const closed = refuseClosedTenant(state, command.tenantId);
  if (closed !== null) return refuse(rejected(closed));
  const before = state.account(command.accountId);
  if (before === undefined) return refuse(rejected({ code: 'budget_not_found', message: `there is no account ${command.accountId}` }));
  const refusal = refuseFunding(before, command);
  if (refusal !== null) return refuse(rejected(refusal));
  const { account, effects, happenings } = fundAccount(before, command, { command: command.id, nowMs });
  const answer: FundAnswer = {
    operation: command.operation,
    previousAllocated: `${before.allocated}`,
    newAllocated: `${account.allocated}`,
    previousRemaining: `${remainingOf(before)}`,
    newRemaining: `${remainingOf(account)}`,
    previousDebt: `${before.debt}`,
    newDebt: `${account.debt}`,
    previousSpent: `${before.spent}`,
    newSpent: `${account.spent}`,
    atMs: nowMs,
  };
  return { outcome: accepted(answer), effects: [...effects, ...eventEffects(command, nowMs, happenings)] };
}

/**
 * Funds a limited account. CREDIT and DEBIT move the allocation; RESET sets it; RESET_SPENT sets it and what is spent (0 by default);
 * REPAY_DEBT pays debt and allocates the rest. Each recomputes whether the account is over its overdraft limit, and tells of a budget
 * that it funds in an event.
 *
 * Rejects, in this order: `idempotency_mismatch`, `tenant_closed`, `budget_not_found`, `budget_frozen`, `budget_closed`, `conflict` (an
 * unlimited account), `amount_out_of_range`, `budget_exceeded` (DEBIT of more than remains), `amount_out_of_range` (the new
 * allocation, then what remains of it). Source: Cycles governance, funding. Invariants: L1.
 */
export const fundVerb: Verb<FundCommand, FundAnswer> = {
  needs: (command) => ({ tenantLock: 'shared', accounts: [command.accountId], ...idempotencyNeeds(command.idempotency) }),
  decide: (state, command, nowMs) => decideOnce(state, command, nowMs, () => decideFund(state, command, nowMs)),
};

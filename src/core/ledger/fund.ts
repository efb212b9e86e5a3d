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

/** What an operation changes on a limited account. Debts are repaid by REPAY_DEBT alone; what it leaves over is new allocation. */
function differencesOf(account: Account, command: FundCommand): Required<Pick<Differences, 'dAllocated' | 'dSpent' | 'dDebt'>> {
  const { amount } = command;
  const allocated = account.allocated ?? 0n;
  switch (command.operation) {
    case 'CREDIT':
      return { dAllocated: amount, dSpent: 0n, dDebt: 0n };
    case 'DEBIT':
      return { dAllocated: -amount, dSpent: 0n, dDebt: 0n };
    case 'RESET':
      return { dAllocated: amount - allocated, dSpent: 0n, dDebt: 0n };
    case 'RESET_SPENT':
      return { dAllocated: amount - allocated, dSpent: (command.spent ?? 0n) - account.spent, dDebt: 0n };
    case 'REPAY_DEBT': {
      const repaid = amount < account.debt ? amount : account.debt;
      return { dAllocated: amount - repaid, dSpent: 0n, dDebt: -repaid };
    }
  }
}

function refuseFund(state: State, command: FundCommand): Rejection | Account {
  const closed = refuseClosedTenant(state, command.tenantId);
  if (closed !== null) return closed;
  const account = state.account(command.accountId);
  if (account === undefined) return { code: 'budget_not_found', message: `there is no account ${command.accountId}` };
  const inactive = refuseStatus(account);
  if (inactive !== null) return inactive;
  if (account.allocated === null) return { code: 'conflict', message: `the account ${account.scope} has no limit to fund` };
  // Other operations ignore `spent`, whatever it is.
  const amounts = command.operation === 'RESET_SPENT' ? [command.amount, command.spent ?? 0n] : [command.amount];
  if (amounts.some((amount) => amount < 0n || amount > INT64_MAX)) {
    return { code: 'amount_out_of_range', message: 'amounts must lie between 0 and 2^63 - 1', field: 'amount' };
  }
  const remaining = remainingOf(account) ?? 0n;
  if (command.operation === 'DEBIT' && remaining < command.amount) return { ...shortOf(account, command.amount), code: 'budget_exceeded' };
  if (!isInt64(account.allocated + differencesOf(account, command).dAllocated)) {
    return { code: 'amount_out_of_range', message: `the allocation of ${account.scope} would go past 2^63 - 1`, field: 'amount' };
  }
  return account;
}

function decideFund(state: State, command: FundCommand, nowMs: number): Decision<FundAnswer> {
  const account = refuseFund(state, command);
  if ('code' in account) return refuse(rejected(account));
  const differences = differencesOf(account, command);
  const debt = account.debt + differences.dDebt;
  const spent = account.spent + differences.dSpent;
  const allocated = (account.allocated ?? 0n) + differences.dAllocated;
  const isOverLimit = debt > account.overdraftLimit;
  const flag: Effect[] = isOverLimit === account.isOverLimit ? [] : [{ type: 'account', account: { ...account, isOverLimit } }];
  const entry = entryEffect(account.id, { command: command.id, verb: VERB_OF[command.operation], atMs: nowMs, ...differences });
  const answer: FundAnswer = {
    operation: command.operation,
    previousAllocated: `${account.allocated}`,
    newAllocated: `${allocated}`,
    previousRemaining: `${remainingOf(account)}`,
    newRemaining: `${allocated - spent - account.reserved - debt}`,
    previousDebt: `${account.debt}`,
    newDebt: `${debt}`,
    previousSpent: `${account.spent}`,
    newSpent: `${spent}`,
    atMs: nowMs,
  };
  return { outcome: accepted(answer), effects: [...flag, entry] };
}

/**
 * Funds a limited account. CREDIT and DEBIT move the allocation; RESET sets it; RESET_SPENT sets it and what is spent (0 by default);
 * REPAY_DEBT pays debt and allocates the rest. Each recomputes whether the account is over its overdraft limit.
 *
 * Rejects, in this order: `idempotency_mismatch`, `tenant_closed`, `budget_not_found`, `budget_frozen`, `budget_closed`, `conflict` (an
 * unlimited account), `amount_out_of_range`, `budget_exceeded` (DEBIT of more than remains), `amount_out_of_range` (the new
 * allocation). Source: Cycles governance, funding. Invariants: L1.
 */
export const fundVerb: Verb<FundCommand, FundAnswer> = {
  needs: (command) => ({ tenantLock: 'shared', accounts: [command.accountId], ...idempotencyNeeds(command.idempotency) }),
  decide: (state, command, nowMs) => decideOnce(state, command.idempotency, nowMs, () => decideFund(state, command, nowMs)),
};

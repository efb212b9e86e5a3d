import { INT64_MAX } from '../int64.ts';
import { invariant } from '../invariant.ts';
import { accepted, rejected, type Rejection } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { remainingOf, type Account } from './account.ts';
import type { DebitCommand } from './commands.ts';
import { decideOnce, idempotencyNeeds } from './idempotency.ts';
import { entryEffect, refuseOverflow } from './journal.ts';
import { bookOverage } from './overage.ts';
import { refuseStatus, refuseTenant, shortOf } from './refusals.ts';

/** What a debit charged, decimal int64; `capped` where that is less than was asked. */
export interface DebitAnswer {
  readonly debitId: string;
  readonly charged: string;
  readonly capped: boolean;
  readonly [name: string]: string | boolean;
}

function refuseDebit(accounts: readonly Account[], command: DebitCommand): Rejection | null {
  for (const account of accounts) {
    const inactive = refuseStatus(account);
    if (inactive !== null) return inactive;
    const remaining = remainingOf(account);
    if (command.overagePolicy === 'REJECT' && remaining !== null && remaining < command.amount) return shortOf(account, command.amount);
  }
  return null;
}

function decideDebit(state: State, command: DebitCommand, nowMs: number): Decision<DebitAnswer> {
  const tenantRefusal = refuseTenant(state, command.tenantId);
  if (tenantRefusal !== null) return refuse(rejected(tenantRefusal));
  if (command.amount < 0n || command.amount > INT64_MAX) {
    return refuse(rejected({ code: 'amount_out_of_range', message: 'the amount must lie between 0 and 2^63 - 1', field: 'actual.amount' }));
  }
  invariant(new Set(command.accounts).size === command.accounts.length, `the debit ${command.debitId} names an account twice`);
  const accounts = command.accounts.map((id) => state.account(id)).filter((account) => account !== undefined);
  if (accounts.length === 0) {
    const others = command.otherUnitAccounts.map((id) => state.account(id)).filter((account) => account !== undefined);
    const code = others.length === 0 ? 'budget_not_found' : 'unit_mismatch';
    const expectedUnits = [...new Set(others.map((account) => account.unit))];
    return refuse(rejected({ code, message: 'no budget covers the subject in this unit', details: { expectedUnits } }));
  }
  const refusal = refuseDebit(accounts, command);
  if (refusal !== null) return refuse(rejected(refusal));
  const booked = bookOverage(accounts, command.amount, command.overagePolicy);
  if ('code' in booked) return refuse(rejected(booked));
  const entries = accounts.map((account, index) =>
    entryEffect(account.id, { command: command.debitId, verb: 'debit', atMs: nowMs, ...booked.parts[index] }),
  );
  const overflow = refuseOverflow(state, entries);
  if (overflow !== null) return refuse(rejected(overflow));
  return {
    outcome: accepted({ debitId: command.debitId, charged: booked.charged.toString(), capped: booked.charged < command.amount }),
    effects: [...booked.flags, ...entries],
  };
}

/**
 * Charges every account that covers the subject at once, without a hold, under an overage policy.
 *
 * Rejects, in this order: `idempotency_mismatch`, `tenant_closed`, `tenant_suspended`, `amount_out_of_range`, `budget_not_found` or
 * `unit_mismatch`; for each account `budget_frozen`, `budget_closed`, `budget_exceeded` (REJECT); then `over_limit` (the overdraft
 * would pass its limit); last `amount_out_of_range` (what an account has spent would pass int64). Being over the limit or in debt does
 * not refuse. Source: Cycles runtime spec, events. Invariants: L1.
 */
export const debitVerb: Verb<DebitCommand, DebitAnswer> = {
  needs: (command) => ({
    tenantLock: 'shared',
    accounts: [...command.accounts, ...command.otherUnitAccounts],
    ...idempotencyNeeds(command.idempotency),
  }),
  decide: (state, command, nowMs) => decideOnce(state, command.idempotency, nowMs, () => decideDebit(state, command, nowMs)),
};

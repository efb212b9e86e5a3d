import { balancesAfter, type BalanceLine } from './balance-line.ts';
import { isCovered, refuseUncovered } from './coverage.ts';
import { INT64_MAX } from '../int64.ts';
import type { PlainJson } from '../json/plain-json.ts';
import { invariant } from '../invariant.ts';
import { accepted, rejected, type Rejection } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { parseAccountId, remainingOf, type Account, type AccountId, type OveragePolicy } from './account.ts';
import type { DebitCommand } from './commands.ts';
import { decideOnce, idempotencyNeeds } from './idempotency.ts';
import { entryEffect, refuseOverflow } from './journal.ts';
import { bookOverage, overagePolicyOf } from './overage.ts';
import { refuseStatus, refuseTenant, shortOf } from './refusals.ts';

/** What a debit charged, decimal int64; `capped` where that is less than was asked. `balances` are those after it. */
export interface DebitAnswer {
  readonly debitId: string;
  readonly charged: string;
  readonly capped: boolean;
  readonly balances: readonly BalanceLine[];
  readonly [name: string]: PlainJson;
}

function refuseDebit(accounts: readonly Account[], command: DebitCommand, policy: OveragePolicy): Rejection | null {
  for (const account of accounts) {
    const inactive = refuseStatus(account);
    if (inactive !== null) return inactive;
    const remaining = remainingOf(account);
    if (policy === 'REJECT' && remaining !== null && remaining < command.amount) return shortOf(account, command.amount);
  }
  return null;
}

/** As for a hold: the accounts that were named tell the scopes. */
function refuseUncoveredDebit(state: State, command: DebitCommand): Rejection {
  const deepest = command.accounts.at(-1);
  const { scope: scopePath, unit } = parseAccountId(deepest ?? ('' as AccountId));
  return refuseUncovered(state, { scopePath, unit, others: command.otherUnitAccounts });
}

function decideDebit(state: State, command: DebitCommand, nowMs: number): Decision<DebitAnswer> {
  const tenantRefusal = refuseTenant(state, command.tenantId);
  if (tenantRefusal !== null) return refuse(rejected(tenantRefusal));
  if (command.amount < 0n || command.amount > INT64_MAX) {
    return refuse(rejected({ code: 'amount_out_of_range', message: 'the amount must lie between 0 and 2^63 - 1', field: 'actual.amount' }));
  }
  invariant(new Set(command.accounts).size === command.accounts.length, `the debit ${command.debitId} names an account twice`);
  const accounts = command.accounts.map((id) => state.account(id)).filter((account) => account !== undefined);
  if (!isCovered(accounts)) return refuse(rejected(refuseUncoveredDebit(state, command)));
  const policy = overagePolicyOf(state, command.tenantId, { wanted: command.overagePolicy, accounts });
  const refusal = refuseDebit(accounts, command, policy);
  if (refusal !== null) return refuse(rejected(refusal));
  const booked = bookOverage(accounts, command.amount, policy);
  if ('code' in booked) return refuse(rejected(booked));
  const entries = accounts.map((account, index) =>
    entryEffect(account.id, { command: command.debitId, verb: 'debit', atMs: nowMs, ...booked.parts[index] }),
  );
  const overflow = refuseOverflow(state, entries);
  if (overflow !== null) return refuse(rejected(overflow));
  return {
    outcome: accepted({
      debitId: command.debitId,
      charged: booked.charged.toString(),
      capped: booked.charged < command.amount,
      balances: balancesAfter(accounts, [...booked.flags, ...entries]),
    }),
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
  decide: (state, command, nowMs) => decideOnce(state, command, nowMs, () => decideDebit(state, command, nowMs)),
};

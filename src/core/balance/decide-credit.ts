import { eventEffects } from '../access/access-events.ts';
import { openTenant } from '../access/decide-tenant.ts';
import { checkText, invalid, type Refusal } from '../access/rules.ts';
import type { Effect } from '../effects.ts';
import { INT64_MAX, isInt64 } from '../int64.ts';
import { newAccount, remainingOf, type Account } from '../ledger/account.ts';
import { decideOnce, idempotencyNeeds } from '../ledger/idempotency.ts';
import { entryEffect } from '../ledger/journal.ts';
import type { Credit } from '../records.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { balanceId, unspentOf } from './balance-account.ts';
import { balanceNeeds, openingEffects, refuseOtherCurrency, refuseUnrated } from './balance-terms.ts';
import type { CreditBalanceCommand } from './commands.ts';

/** A credit with the balance right after it, decimal int64 micro-cents. */
export interface CreditAnswer extends Credit {
  readonly balance: string;
  readonly [name: string]: string | number;
}

/** Refuses an amount of nothing, and one that an account cannot count; `account` is the balance before. */
function refuseAmount(account: Account, amount: bigint): Refusal | null {
  if (amount === 0n) return invalid('amount', 'not be 0');
  if (amount < -INT64_MAX || amount > INT64_MAX) return tooMuch('amount must fit into 64 bits as micro-cents');
  const allocated = (account.allocated ?? 0n) + amount;
  if (allocated < 0n) return invalid('amount', 'not take back more than was ever credited');
  if (!isInt64(allocated) || !isInt64((remainingOf(account) ?? 0n) + amount)) return tooMuch('the balance would not fit into 64 bits');
  return null;
}

const tooMuch = (message: string): Refusal => rejected({ code: 'amount_out_of_range', message, field: 'amount' });

function decideCredit(state: State, command: CreditBalanceCommand, nowMs: number): Decision<CreditAnswer> {
  const { amount, currency, creditId: id, reason } = command;
  const open = openTenant(state, command.tenantId);
  if ('rejection' in open) return refuse(rejected(open.rejection));
  const { tenant } = open;
  const accountId = balanceId(tenant.id, currency);
  const before = state.account(accountId) ?? newAccount(accountId, { nowMs, unlimited: false });
  const refusal =
    refuseOtherCurrency(tenant, currency) ??
    checkText('reason', reason) ??
    refuseUnrated(state, currency, command.rateId, nowMs) ??
    refuseAmount(before, amount);
  if (refusal !== null) return refuse(refusal);

  const by = command.audit?.actorKind ?? 'system';
  const credit: Credit = { id, tenantId: tenant.id, currency, microcents: `${amount}`, reason, by, createdAtMs: nowMs };
  const balance = `${unspentOf(before) + amount}`;
  const opening: Effect[] = [
    ...openingEffects(state, tenant.id, currency, nowMs),
    ...(tenant.hasBalance === true
      ? []
      : [{ type: 'record', kind: 'tenant', id: tenant.id, record: { ...tenant, hasBalance: true } } as const]),
  ];
  const verb = amount > 0n ? 'credit' : 'fund_debit';
  const { scope, unit } = before;
  const remaining = `${(remainingOf(before) ?? 0n) + amount}`;
  const data = { tenant_id: tenant.id, credit_id: id, scope, unit, credited: credit.microcents, remaining, reason };
  return {
    outcome: accepted({ ...credit, balance }),
    effects: [
      ...opening,
      entryEffect(accountId, { command: id, verb, atMs: nowMs, dAllocated: amount }),
      { type: 'record', kind: 'credit', id, record: credit },
      ...eventEffects(command, nowMs, [{ type: 'balance.credited', data, scope }]),
    ],
    auditMetadata: { credit_id: id, currency, microcents: credit.microcents },
  };
}

/**
 * Pays into a tenant's prepaid balance, or takes back by a negative amount, which is a line of its own: no credit ever changes. Makes the
 * account with the first one; from then on calls of the tenant take from it. A correction may leave the balance below 0.
 *
 * Rejects, in this order: `idempotency_mismatch`, `not_found`, `tenant_closed`, `conflict` (another currency than the tenant's),
 * `invalid_request` (reason; a currency without a rate that applies; an amount of 0), `amount_out_of_range`, `invalid_request` (more taken
 * back than was ever credited), `amount_out_of_range` (the new balance). Invariants: L1, L7.
 */
export const creditBalanceVerb: Verb<CreditBalanceCommand, CreditAnswer> = {
  needs: (command) => {
    const { tenantId, currency, rateId } = command;
    const { accounts, records } = balanceNeeds(tenantId, { currency, rateId }, currency);
    return { tenantLock: 'exclusive', accounts, records, ...idempotencyNeeds(command.idempotency) };
  },
  decide: (state, command, nowMs) => decideOnce(state, command, nowMs, () => decideCredit(state, command, nowMs)),
};

import type { Effect } from '../effects.ts';
import type { Account } from '../ledger/account.ts';
import { entryEffect } from '../ledger/journal.ts';
import { formatRfc3339 } from '../rfc3339.ts';
import { budgetHappening } from './budget-events.ts';
import { inCurrentPeriod } from './budget-period.ts';
import { ledgerIdOf } from './ledger-id.ts';

/**
 * The effects that take a budget whose period has ended into the one that holds `nowMs`; none where it has not.
 *
 * The journal's line and the event are named after the budget and the end of its old period, so each period ends once, whoever notices
 * it first: a command that touches the budget, or the job for those that nobody touches. Periods that passed unnoticed are one line and
 * one event. Invariants: L1, L7.
 */
export function rollOverEffects(account: Account, nowMs: number): Effect[] {
  const next = inCurrentPeriod(account, nowMs);
  const ended = account.budget?.periodEndMs;
  if (next === account || typeof ended !== 'number') return [];
  const name = `period_${ledgerIdOf(account)}_${ended}`;
  const dAllocated = (next.allocated ?? 0n) - (account.allocated ?? 0n);
  const entry = entryEffect(account.id, { command: name, verb: 'reset_spent', atMs: nowMs, dAllocated, dSpent: -account.spent });
  const { periodStartMs, periodEndMs, rolloverPolicy } = next.budget ?? {};
  const happening = budgetHappening('budget.reset_spent', 'RESET_SPENT', {
    previous: account,
    account: next,
    reason: 'the budget period has ended',
    more: { spent_override_provided: false },
    metadata: {
      rollover_policy: rolloverPolicy ?? 'NONE',
      period_start: formatRfc3339(periodStartMs ?? nowMs),
      period_end: formatRfc3339(periodEndMs ?? nowMs),
    },
  });
  return [
    // What is no amount; amounts change by the entry alone.
    { type: 'account', account: { ...next, allocated: account.allocated, spent: account.spent } },
    ...(dAllocated === 0n && account.spent === 0n ? [] : [entry]),
    { type: 'event', event: { id: `evt_${name}`, tenantId: account.tenantId, atMs: nowMs, ...happening } },
  ];
}

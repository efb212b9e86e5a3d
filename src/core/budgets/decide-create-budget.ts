import { eventEffects } from '../access/access-events.ts';
import { checkMetadata, invalid } from '../access/rules.ts';
import { INT64_MAX } from '../int64.ts';
import { budgetId, newAccount, type Account, type BudgetTerms } from '../ledger/account.ts';
import { entryEffect } from '../ledger/journal.ts';
import { refuseTenant } from '../ledger/refusals.ts';
import { accepted, rejected, type Rejection } from '../rejection.ts';
import { refuse, type State, type Verb } from '../verb.ts';
import { budgetHappening } from './budget-events.ts';
import { currentPeriod, periodLengthOf } from './budget-period.ts';
import type { CreateBudgetCommand } from './commands.ts';

/** The shortest period: shorter ones would write more than anybody reads. */
const MIN_PERIOD_MS = 1000;

function refuseFields(command: CreateBudgetCommand): Rejection | null {
  const amounts = { allocated: command.allocated, overdraft_limit: command.overdraftLimit };
  for (const [field, amount] of Object.entries(amounts)) {
    if (amount < 0n || amount > INT64_MAX)
      return { code: 'amount_out_of_range', message: `${field} must lie between 0 and 2^63 - 1`, field: `${field}.amount` };
  }
  const { periodStartMs, periodEndMs } = command;
  if (periodStartMs !== null && periodEndMs !== null && periodEndMs - periodStartMs < MIN_PERIOD_MS)
    return invalid('period_end', 'lie at least one second after period_start').rejection;
  return checkMetadata(command.metadata)?.rejection ?? null;
}

/** Refuses a tenant that gets no new budgets, in the order of the reference: closed, unknown, suspended. */
function refuseOwner(state: State, tenantId: string): Rejection | null {
  if (state.record('tenant', tenantId) === undefined) return { code: 'tenant_not_found', message: `there is no tenant ${tenantId}` };
  return refuseTenant(state, tenantId);
}

/**
 * The period that holds `nowMs`. A start without an end is kept and means nothing; an end without a start lies at the end of a period
 * that begins now; a period that is over already is followed by the present one.
 */
function periodOf(
  command: CreateBudgetCommand,
  nowMs: number,
): Pick<BudgetTerms, 'periodStartMs' | 'periodEndMs' | 'periodLength'> | Rejection {
  const { periodStartMs, periodEndMs } = command;
  if (periodEndMs === null) return { periodStartMs, periodEndMs };
  if (periodStartMs === null && periodEndMs - nowMs < MIN_PERIOD_MS)
    return invalid('period_end', 'lie in the future where there is no period_start').rejection;
  const startMs = periodStartMs ?? nowMs;
  const periodLength = periodLengthOf(startMs, periodEndMs);
  const period = currentPeriod(startMs, periodLength, nowMs);
  return { periodStartMs: period.startMs, periodEndMs: period.endMs, periodLength };
}

/**
 * Makes a budget. One that exists without a limit, because another surface counts spend there, gets one and keeps what it has spent; only
 * budgets with a limit are budgets on the Cycles surfaces. Its parents need not exist: each scope is independent, and scopes without a
 * budget are skipped by every hold. The value is the account.
 *
 * Rejects, in this order: `amount_out_of_range`, `invalid_request` (the period, the metadata), `tenant_closed`, `tenant_not_found`, `tenant_suspended`,
 * `conflict` (there is one for the scope and unit, closed or not). Source: Cycles governance, createBudget, in the reference's order.
 */
export const createBudgetVerb: Verb<CreateBudgetCommand, Account> = {
  needs: (command) => ({ tenantLock: 'shared', accounts: [budgetId(command.tenantId, command.scope, command.unit)] }),
  decide: (state, command, nowMs) => {
    const period = periodOf(command, nowMs);
    const bad = refuseFields(command) ?? ('code' in period ? period : null) ?? refuseOwner(state, command.tenantId);
    if (bad !== null || 'code' in period) return refuse(rejected(bad ?? (period as Rejection)));
    const id = budgetId(command.tenantId, command.scope, command.unit);
    const existing = state.account(id);
    if (existing !== undefined && existing.allocated !== null) {
      const message = `there is a budget of ${command.scope} in ${command.unit} already`;
      return refuse(rejected({ code: 'conflict', message, field: 'scope' }));
    }
    const { ledgerId, metadata, rolloverPolicy, overdraftLimit, overagePolicy, allocated } = command;
    const terms: BudgetTerms = {
      ledgerId: existing?.budget?.ledgerId ?? ledgerId,
      metadata,
      rolloverPolicy,
      ...period,
      updatedAtMs: nowMs,
    };
    const empty: Account = {
      ...(existing ?? newAccount(id, { nowMs, unlimited: false })),
      allocated: 0n,
      overdraftLimit,
      overagePolicy,
      isOverLimit: (existing?.debt ?? 0n) > overdraftLimit,
      status: 'ACTIVE',
      budget: terms,
    };
    const account: Account = { ...empty, allocated };
    const entry = entryEffect(id, { command: command.id, verb: 'allocate', atMs: nowMs, dAllocated: allocated });
    return {
      outcome: accepted(account),
      effects: [
        { type: 'account', account: empty },
        ...(allocated === 0n ? [] : [entry]),
        ...eventEffects(command, nowMs, [budgetHappening('budget.created', 'CREATE', { previous: null, account })]),
      ],
    };
  },
};

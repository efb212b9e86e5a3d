import { eventEffects, type Happening } from '../access/access-events.ts';
import type { Effect } from '../effects.ts';
import type { Account } from '../ledger/account.ts';
import { fundAccount, refuseFunding } from '../ledger/fund.ts';
import { decideOnce, idempotencyNeeds } from '../ledger/idempotency.ts';
import { refuseClosedTenant } from '../ledger/refusals.ts';
import { accepted, rejected, type RejectionCode } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import type { FundBudgetsCommand } from './commands.ts';
import { ledgerIdOf } from './ledger-id.ts';

/** The most budgets that one command funds. Source: Cycles governance, bulk actions. */
export const MAX_BULK_ROWS = 500;

/** What became of one budget: by its ledger id, with why it failed or was skipped. */
interface BulkRow {
  readonly id: string;
  readonly error_code?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly [name: string]: string;
}

/** What became of every budget, each in the order in which they were named. */
export interface FundBudgetsAnswer {
  readonly matched: number;
  readonly succeeded: readonly BulkRow[];
  readonly failed: readonly BulkRow[];
  readonly skipped: readonly BulkRow[];
  readonly [name: string]: number | readonly BulkRow[];
}

/** How a refused row names its refusal. Source: Cycles governance, `BulkActionRowOutcome`. */
const ROW_CODES: Partial<Record<RejectionCode, string>> = {
  budget_exceeded: 'BUDGET_EXCEEDED',
  budget_frozen: 'INVALID_TRANSITION',
  budget_closed: 'INVALID_TRANSITION',
  amount_out_of_range: 'INVALID_TRANSITION',
};

function refuseRow(account: Account, command: FundBudgetsCommand): { code: string; message: string } | null {
  const refusal = refuseFunding(account, command);
  if (refusal !== null) return { code: ROW_CODES[refusal.code] ?? 'INTERNAL_ERROR', message: refusal.message };
  if (account.id === command.declared) return { code: 'POLICY_VIOLATION', message: 'the configuration file declares this budget' };
  const spentUnit = command.operation === 'RESET_SPENT' ? command.spentUnit : null;
  const other = [command.unit, spentUnit].find((unit) => unit !== null && unit !== account.unit);
  if (other === undefined) return null;
  return { code: 'INVALID_TRANSITION', message: `the budget ${account.scope} is in ${account.unit}, not in ${other}` };
}

function fundRows(state: State, command: FundBudgetsCommand, nowMs: number): Decision<FundBudgetsAnswer> {
  const [succeeded, failed, skipped]: [BulkRow[], BulkRow[], BulkRow[]] = [[], [], []];
  const effects: Effect[] = [];
  const happenings: Happening[] = [];
  for (const accountId of command.accountIds) {
    const account = state.account(accountId);
    if (account === undefined) continue;
    const id = ledgerIdOf(account);
    const refusal = refuseRow(account, command);
    if (refusal !== null) {
      failed.push({ id, error_code: refusal.code, message: refusal.message });
      continue;
    }
    const funded = fundAccount(account, command, { command: command.id, nowMs });
    if (!funded.isChanged || (command.operation === 'REPAY_DEBT' && account.debt === 0n)) {
      skipped.push({ id, reason: 'ALREADY_IN_TARGET_STATE' });
      continue;
    }
    effects.push(...funded.effects);
    happenings.push(...funded.happenings);
    succeeded.push({ id });
  }
  const answer: FundBudgetsAnswer = { matched: command.matched, succeeded, failed, skipped };
  const auditMetadata = {
    total_matched: command.matched,
    succeeded_ids: succeeded.map(({ id }) => id),
    failed_rows: failed,
    skipped_rows: skipped,
  };
  return { outcome: accepted(answer), effects: [...effects, ...eventEffects(command, nowMs, happenings)], auditMetadata };
}

function decideFundBudgets(state: State, command: FundBudgetsCommand, nowMs: number): Decision<FundBudgetsAnswer> {
  if (state.record('tenant', command.tenantId) === undefined)
    return refuse(rejected({ code: 'tenant_not_found', message: `there is no tenant ${command.tenantId}` }));
  const closed = refuseClosedTenant(state, command.tenantId);
  if (closed !== null) return refuse(rejected(closed));
  const { matched, expected } = command;
  if (matched > MAX_BULK_ROWS) {
    const message = `${matched} budgets match, and one request may change ${MAX_BULK_ROWS}`;
    return refuse(rejected({ code: 'too_many_matches', message, details: { total_matched: matched } }));
  }
  if (expected !== null && expected !== matched) {
    const message = `${matched} budgets match, not ${expected}; nothing was changed`;
    return refuse(rejected({ code: 'count_mismatch', message, details: { total_matched: matched, expected_count: expected } }));
  }
  return fundRows(state, command, nowMs);
}

/**
 * Funds many budgets of a tenant alike, each as the funding of a single one, or not at all: a budget that refuses hinders no other. One
 * that would not change is skipped, and so is REPAY_DEBT where there is no debt.
 *
 * Rejects, in this order: `idempotency_mismatch`, `tenant_not_found`, `tenant_closed`, `too_many_matches`, `count_mismatch`.
 * Source: Cycles governance, bulkActionBudgets. Invariants: L1, L5.
 */
export const fundBudgetsVerb: Verb<FundBudgetsCommand, FundBudgetsAnswer> = {
  needs: (command) => ({ tenantLock: 'shared', accounts: command.accountIds, ...idempotencyNeeds(command.idempotency) }),
  decide: (state, command, nowMs) => decideOnce(state, command, nowMs, () => decideFundBudgets(state, command, nowMs)),
};

import { eventEffects, type Happening } from '../access/access-events.ts';
import { budgetHappening } from '../budgets/budget-events.ts';
import type { Effect } from '../effects.ts';
import { isInt64 } from '../int64.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type Verb } from '../verb.ts';
import { newAccount, type Account, type AccountId } from './account.ts';
import type { AllocateCommand } from './commands.ts';
import { refuseClosedTenant, refuseStatus } from './refusals.ts';

/**
 * The effects that give the account `id` the limit `allocated` (null: none), making it where `account` is undefined. Only the
 * allocation changes, and a flag of being over the limit that debt does not bear out is cleared, as every funding does; what is spent
 * and held stays. `command` is the journal's name for who did it.
 *
 * An unlimited account's allocations sum to zero in the journal, so a cleared limit is first taken away by an entry.
 */
export function allocateEffects(
  account: Account | undefined,
  id: AccountId,
  allocated: bigint | null,
  at: { readonly command: string; readonly nowMs: number },
): Effect[] {
  const before = account ?? newAccount(id, { nowMs: at.nowMs, unlimited: allocated === null });
  const difference = (allocated ?? 0n) - (before.allocated ?? 0n);
  const entry: Effect = {
    type: 'entry',
    entry: {
      accountId: id,
      command: at.command,
      verb: 'allocate',
      dAllocated: difference,
      dSpent: 0n,
      dReserved: 0n,
      dDebt: 0n,
      atMs: at.nowMs,
    },
  };
  const entries = difference === 0n ? [] : [entry];
  if (account === undefined) return [{ type: 'account', account: before }, ...entries];
  const terms = resized(account, at.nowMs);
  if (account.allocated === null && allocated !== null) return [{ type: 'account', account: { ...terms, allocated: 0n } }, ...entries];
  if (account.allocated !== null && allocated === null) return [...entries, { type: 'account', account: { ...terms, allocated: null } }];
  return terms.isOverLimit === account.isOverLimit && account.budget === terms.budget
    ? entries
    : [{ type: 'account', account: terms }, ...entries];
}

/** What a new size leaves of an account's terms: of the allocation nothing came from the period before any more. */
function resized(account: Account, nowMs: number): Account {
  const isOverLimit = account.debt > account.overdraftLimit;
  if (account.budget === undefined || account.budget === null) return { ...account, isOverLimit };
  const { carried: _carried, ...budget } = account.budget;
  return { ...account, isOverLimit, budget: { ...budget, updatedAtMs: nowMs } };
}

/** What is told of a budget whose limit is set: it is new to those who know budgets with a limit only, or it has another size. */
function happeningsOf(before: Account | undefined, id: AccountId, allocated: bigint | null, nowMs: number): Happening[] {
  const old = before ?? newAccount(id, { nowMs, unlimited: true });
  if (old.kind !== 'budget' || allocated === null || allocated === old.allocated) return [];
  const account: Account = { ...resized(old, nowMs), allocated };
  if (old.allocated === null) return [budgetHappening('budget.created', 'CREATE', { previous: null, account })];
  return [budgetHappening('budget.reset', 'RESET', { previous: old, account })];
}

/**
 * Sets the limit of an account, making the account where there is none. The value is the limit that stands now. Of a budget it is told
 * as a creation or a RESET.
 *
 * Rejects, in this order: `tenant_closed`, `amount_out_of_range` (negative, or past int64), `budget_frozen`, `budget_closed`.
 */
export const allocateVerb: Verb<AllocateCommand, { readonly allocated: string | null }> = {
  needs: (command) => ({ tenantLock: 'shared', accounts: [command.accountId] }),
  decide: (state, command, nowMs): Decision<{ readonly allocated: string | null }> => {
    const closed = refuseClosedTenant(state, command.tenantId);
    if (closed !== null) return refuse(rejected(closed));
    const { allocated } = command;
    if (allocated !== null && (allocated < 0n || !isInt64(allocated))) {
      return refuse(rejected({ code: 'amount_out_of_range', message: 'the amount must lie between 0 and 2^63 - 1', field: 'allocated' }));
    }
    const account = state.account(command.accountId);
    const refusal = account === undefined ? null : refuseStatus(account);
    if (refusal !== null) return refuse(rejected(refusal));
    return {
      outcome: accepted({ allocated: allocated === null ? null : allocated.toString() }),
      effects: [
        ...allocateEffects(account, command.accountId, allocated, { command: command.id, nowMs }),
        ...eventEffects(command, nowMs, happeningsOf(account, command.accountId, allocated, nowMs)),
      ],
    };
  },
};

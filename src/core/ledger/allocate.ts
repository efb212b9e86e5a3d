import type { Effect } from '../effects.ts';
import { isInt64 } from '../int64.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type Verb } from '../verb.ts';
import { newAccount, type Account, type AccountId } from './account.ts';
import type { AllocateCommand } from './commands.ts';
import { refuseStatus } from './refusals.ts';

/**
 * The effects that give the account `id` the limit `allocated` (null: none), making it where `account` is undefined. Only the
 * allocation changes; what is spent and held stays. `command` is the journal's name for who did it.
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
    entry: { accountId: id, command: at.command, verb: 'allocate', dAllocated: difference, dSpent: 0n, dReserved: 0n, dDebt: 0n, atMs: at.nowMs },
  };
  const entries = difference === 0n ? [] : [entry];
  if (account === undefined) return [{ type: 'account', account: before }, ...entries];
  if (account.allocated === null && allocated !== null) return [{ type: 'account', account: { ...account, allocated: 0n } }, ...entries];
  if (account.allocated !== null && allocated === null) return [...entries, { type: 'account', account: { ...account, allocated: null } }];
  return entries;
}

/**
 * Sets the limit of an account, making the account where there is none. The value is the limit that stands now.
 *
 * Rejects, in this order: `amount_out_of_range` (negative, or past int64), `budget_closed`, `budget_frozen`.
 */
export const allocateVerb: Verb<AllocateCommand, { readonly allocated: string | null }> = {
  needs: (command) => ({ tenantLock: 'shared', accounts: [command.accountId] }),
  decide: (state, command, nowMs): Decision<{ readonly allocated: string | null }> => {
    const { allocated } = command;
    if (allocated !== null && (allocated < 0n || !isInt64(allocated))) {
      return refuse(rejected({ code: 'amount_out_of_range', message: 'the amount must lie between 0 and 2^63 - 1', field: 'allocated' }));
    }
    const account = state.account(command.accountId);
    const refusal = account === undefined ? null : refuseStatus(account);
    if (refusal !== null) return refuse(rejected(refusal));
    return {
      outcome: accepted({ allocated: allocated === null ? null : allocated.toString() }),
      effects: allocateEffects(account, command.accountId, allocated, { command: command.id, nowMs }),
    };
  },
};

import type { Effect } from '../effects.ts';
import { INT64_MAX, isInt64 } from '../int64.ts';
import type { Rejection } from '../rejection.ts';
import type { State } from '../verb.ts';
import { remainingOf, type AccountId } from './account.ts';
import type { EntryVerb } from './entry.ts';

/** The differences that an entry writes; those left out are zero. */
export interface Differences {
  readonly dAllocated?: bigint;
  readonly dSpent?: bigint;
  readonly dReserved?: bigint;
  readonly dDebt?: bigint;
}

/** The entry effect of one verb on one account. `command` names the reservation, debit or funding that did it. */
export const entryEffect = (
  accountId: AccountId,
  line: { readonly command: string; readonly verb: EntryVerb; readonly atMs: number } & Differences,
): Effect => ({
  type: 'entry',
  entry: {
    accountId,
    command: line.command,
    verb: line.verb,
    dAllocated: line.dAllocated ?? 0n,
    dSpent: line.dSpent ?? 0n,
    dReserved: line.dReserved ?? 0n,
    dDebt: line.dDebt ?? 0n,
    atMs: line.atMs,
  },
});

/**
 * Refuses entries that would take what an account has spent, or what remains of it, past int64: `amount_out_of_range`, or null. Looks at what is booked and
 * not at what was asked, so that an actual that is capped to what a budget has left goes through however large it is.
 */
export function refuseOverflow(state: State, effects: readonly Effect[]): Rejection | null {
  for (const effect of effects) {
    if (effect.type !== 'entry') continue;
    const { accountId, dSpent, dReserved, dDebt } = effect.entry;
    const account = state.account(accountId);
    const remaining = account === undefined ? null : remainingOf(account);
    const less = dSpent + dReserved + dDebt;
    if (remaining !== null && less > 0n && !isInt64(remaining - less)) {
      return { code: 'amount_out_of_range', message: `what remains of ${account?.scope} would go below -2^63`, field: 'actual.amount' };
    }
    if ((account?.spent ?? 0n) + dSpent > INT64_MAX) {
      return { code: 'amount_out_of_range', message: `${account?.scope} would have spent more than 2^63 - 1`, field: 'actual.amount' };
    }
  }
  return null;
}

import type { Effect } from '../effects.ts';
import type { AccountId } from './account.ts';
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

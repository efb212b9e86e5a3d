import type { AccountId } from './account.ts';

/** The ledger verbs that leave entries. `allocate` sets a limit; the five fund operations keep their own names in lower case. */
export type EntryVerb =
  | 'reserve'
  | 'commit'
  | 'release'
  | 'expire'
  | 'debit'
  | 'allocate'
  | 'credit'
  | 'fund_debit'
  | 'reset'
  | 'reset_spent'
  | 'repay_debt';

/**
 * One immutable journal line: what one verb did to one account, as differences in the account's unit.
 *
 * `command` is the id of the reservation, debit or funding that did it. Balances are the sums of these lines (L7); the line of an
 * account whose limit is cleared takes its whole allocation away, so that an unlimited account's allocations sum to zero.
 */
export interface Entry {
  readonly accountId: AccountId;
  readonly command: string;
  readonly verb: EntryVerb;
  readonly dAllocated: bigint;
  readonly dSpent: bigint;
  readonly dReserved: bigint;
  readonly dDebt: bigint;
  readonly atMs: number;
}

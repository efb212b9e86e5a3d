import { crc32 } from 'node:zlib';
import type { Account, AccountId } from '../../core/ledger/account.ts';
import type { Entry } from '../../core/ledger/entry.ts';

/**
 * Sums that a store's writer keeps so that verification finds what balances alone would not show: a changed digit in a line that adds up
 * to nothing, a line that is gone, one too many, or other terms of an account. They are no signatures: whoever can write to the tables
 * and knows this file can compute them.
 */

/** `journal_sum` is kept below this, a power of two, so that it never comes near int64. */
export const JOURNAL_SUM_MASK = 2 ** 52 - 1;

/**
 * What one line adds to its account's `journal_sum`: the CRC-32 of its parts other than amounts, whose sums are balances. A CRC-32 differs
 * for any two texts that differ in one character.
 */
export const lineSum = (command: string, verb: string, atMs: number | bigint): number => crc32(`${command}|${verb}|${atMs}`);

/** What `entries` add to the `journal_sum` of each of their accounts. `stored` gives a text as the store keeps it, where that may differ. */
export function journalSums(entries: readonly Entry[], stored: (text: string) => string = (text) => text): Map<AccountId, number> {
  const sums = new Map<AccountId, number>();
  let last: Entry | undefined;
  let sum = 0;
  for (const entry of entries) {
    // The lines of one command follow each other and differ in account and amounts alone.
    if (last === undefined || entry.command !== last.command || entry.verb !== last.verb || entry.atMs !== last.atMs) {
      sum = lineSum(stored(entry.command), entry.verb, entry.atMs);
      last = entry;
    }
    sums.set(entry.accountId, (sums.get(entry.accountId) ?? 0) + sum);
  }
  return sums;
}

/** `terms_sum`: the CRC-32 of everything of an account that entries do not explain. Amounts other than the overdraft limit are left out. */
export const termsSum = (
  terms: Pick<Account, 'id' | 'allocated' | 'overdraftLimit' | 'isOverLimit' | 'status' | 'overagePolicy' | 'createdAtMs'>,
): number =>
  crc32(
    [
      terms.id,
      terms.allocated === null ? 'unlimited' : 'limited',
      terms.overdraftLimit,
      terms.isOverLimit ? 1 : 0,
      terms.status,
      terms.overagePolicy ?? '',
      terms.createdAtMs,
    ].join('|'),
  );

import type { Effect } from '../effects.ts';
import { remainingOf, type Account } from './account.ts';

/**
 * What a budget has, as an answer keeps it: scope path, then allocated, remaining, spent, reserved, debt and overdraft limit as decimal
 * int64, and 1 where it is over its limit. A list and not an object, since every answer and every remembered answer holds some.
 */
export type BalanceLine = readonly [
  scopePath: string,
  allocated: string,
  remaining: string,
  spent: string,
  reserved: string,
  debt: string,
  overdraftLimit: string,
  isOverLimit: 0 | 1,
];

/** The line of a budget; null for an account without a limit, which is none. */
export function balanceLine(account: Account): BalanceLine | null {
  const remaining = remainingOf(account);
  if (account.allocated === null || remaining === null) return null;
  return [
    account.scope,
    account.allocated.toString(),
    remaining.toString(),
    account.spent.toString(),
    account.reserved.toString(),
    account.debt.toString(),
    account.overdraftLimit.toString(),
    account.isOverLimit ? 1 : 0,
  ];
}

/** The lines of `accounts` as they are once `effects` are applied, in their order. */
export function balancesAfter(accounts: readonly Account[], effects: readonly Effect[]): BalanceLine[] {
  const lines: BalanceLine[] = [];
  for (const before of accounts) {
    const line = balanceLine(accountAfter(before, effects));
    if (line !== null) lines.push(line);
  }
  return lines;
}

function accountAfter(before: Account, effects: readonly Effect[]): Account {
  let account = before;
  for (const effect of effects) {
    // Amounts come by entries alone, so an account that is put changes its terms.
    if (effect.type === 'account' && effect.account.id === account.id)
      account = { ...effect.account, spent: account.spent, reserved: account.reserved, debt: account.debt };
    else if (effect.type === 'entry' && effect.entry.accountId === account.id) {
      const { dSpent, dReserved, dDebt } = effect.entry;
      account = { ...account, spent: account.spent + dSpent, reserved: account.reserved + dReserved, debt: account.debt + dDebt };
    }
  }
  return account;
}

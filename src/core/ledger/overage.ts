import type { Effect } from '../effects.ts';
import type { Rejection } from '../rejection.ts';
import type { State } from '../verb.ts';
import { remainingOf, snapshotOf, type Account, type OveragePolicy } from './account.ts';

/**
 * The overage policy that applies: the one that was asked for, else that of the deepest budget that has one, else the tenant's default,
 * else ALLOW_IF_AVAILABLE. `accounts` are in order, widest scope first. Source: Cycles governance, `CommitOveragePolicy`.
 */
export function overagePolicyOf(
  state: State,
  tenantId: string,
  options: { readonly wanted: OveragePolicy | null; readonly accounts: readonly Account[] },
): OveragePolicy {
  if (options.wanted !== null) return options.wanted;
  const ofBudget = options.accounts.findLast(({ overagePolicy }) => overagePolicy !== null)?.overagePolicy;
  return ofBudget ?? state.record('tenant', tenantId)?.defaultOveragePolicy ?? 'ALLOW_IF_AVAILABLE';
}

/** How one account takes its part of an overage: what it spends and what it owes, in its unit. */
export interface OveragePart {
  readonly dSpent: bigint;
  readonly dDebt: bigint;
}

/** A booked overage: what every account is charged, each account's part in order, and the flags that change with it. */
export interface BookedOverage {
  readonly charged: bigint;
  readonly parts: readonly OveragePart[];
  readonly flags: readonly Effect[];
}

const notNegative = (amount: bigint): bigint => (amount < 0n ? 0n : amount);

/** What an account without overdraft can still pay of `overage`: all of it where it is unlimited. */
function payable(account: Account, overage: bigint): bigint {
  const remaining = remainingOf(account);
  return remaining === null || remaining >= overage ? overage : notNegative(remaining);
}

/**
 * Books `overage` (more than was held, or all of a charge that was never held) on every account under one policy, as amounts in the
 * accounts' unit. REJECT is the caller's business.
 *
 * ALLOW_IF_AVAILABLE charges what the poorest account has left, owes nothing, never refuses, and flags the accounts that were short.
 * ALLOW_WITH_OVERDRAFT does the same for accounts without an overdraft limit; one with a limit owes the part that it cannot fund.
 * Rejects `over_limit` where that debt would pass the limit; nothing changes then. Source: Cycles runtime spec, overage policies, with
 * the unfunded part alone as debt (architecture, decisions).
 */
export function bookOverage(accounts: readonly Account[], overage: bigint, policy: OveragePolicy): BookedOverage | Rejection {
  const mayOwe = (account: Account): boolean => policy === 'ALLOW_WITH_OVERDRAFT' && account.overdraftLimit > 0n;
  let charged = overage;
  for (const account of accounts) {
    const most = mayOwe(account) ? overage : payable(account, overage);
    if (most < charged) charged = most;
  }
  const parts: OveragePart[] = [];
  const flags: Effect[] = [];
  for (const account of accounts) {
    const remaining = remainingOf(account);
    const unfunded = remaining === null || !mayOwe(account) ? 0n : notNegative(charged - notNegative(remaining));
    if (unfunded > 0n && account.debt + unfunded > account.overdraftLimit) {
      const message = `the budget ${account.scope} would owe ${account.debt + unfunded}, its overdraft limit is ${account.overdraftLimit}`;
      return { code: 'over_limit', message, account: snapshotOf(account) };
    }
    parts.push({ dSpent: charged - unfunded, dDebt: unfunded });
    const wasShort = !mayOwe(account) && payable(account, overage) < overage;
    if (wasShort && !account.isOverLimit) flags.push({ type: 'account', account: { ...account, isOverLimit: true } });
  }
  return { charged, parts, flags };
}

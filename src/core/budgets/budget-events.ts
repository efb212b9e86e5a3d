import type { Happening } from '../access/access-events.ts';
import type { PlainJson } from '../json/plain-json.ts';
import { remainingOf, type Account } from '../ledger/account.ts';
import { ledgerIdOf } from './ledger-id.ts';

/** Parts of {@link budgetState} that are amounts, int64 in the budget's unit, written as decimal text: events hold no bigint. */
const STATE_AMOUNTS = ['allocated', 'remaining', 'debt', 'spent', 'reserved', 'overdraft_limit'] as const;

/** What an event shows of a budget before and after. Source: Cycles governance, `EventDataBudgetLifecycle`. */
const budgetState = (account: Account): { readonly [name: string]: PlainJson } => ({
  allocated: `${account.allocated ?? 0n}`,
  remaining: `${remainingOf(account) ?? 0n}`,
  debt: `${account.debt}`,
  spent: `${account.spent}`,
  reserved: `${account.reserved}`,
  status: account.status,
  overdraft_limit: `${account.overdraftLimit}`,
  is_over_limit: account.isOverLimit,
  ...(account.overagePolicy === null ? {} : { commit_overage_policy: account.overagePolicy }),
});

/**
 * What happened to a budget, as its events tell it: with the names of what changed of {@link budgetState} (and `metadata`), and both
 * states. `previous` is null for one that is new.
 */
export function budgetHappening(
  type: string,
  operation: 'CREATE' | 'UPDATE' | 'STATUS_CHANGE' | 'CREDIT' | 'DEBIT' | 'RESET' | 'RESET_SPENT' | 'REPAY_DEBT',
  change: {
    readonly previous: Account | null;
    readonly account: Account;
    readonly reason?: string;
    readonly more?: Record<string, PlainJson>;
  },
): Happening {
  const { previous, account, reason, more } = change;
  const now = budgetState(account);
  const before = previous === null ? null : budgetState(previous);
  const changed = Object.keys({ ...before, ...now }).filter((name) => before?.[name] !== now[name]);
  if (previous !== null && JSON.stringify(previous.budget?.metadata ?? {}) !== JSON.stringify(account.budget?.metadata ?? {}))
    changed.push('metadata');
  return {
    type,
    scope: account.scope,
    data: {
      ledger_id: ledgerIdOf(account),
      scope: account.scope,
      unit: account.unit,
      operation,
      ...(before === null ? {} : { previous_state: before, changed_fields: changed }),
      new_state: now,
      ...more,
      ...(reason === undefined ? {} : { reason }),
    },
  };
}

const exactState = (state: unknown): object => {
  const fields = state as Readonly<Record<string, string>>;
  return { ...fields, ...Object.fromEntries(STATE_AMOUNTS.map((name) => [name, BigInt(fields[name] ?? '0')])) };
};

/** The data of an event that {@link budgetHappening} made, with its amounts as exact integers; the data of any other as it is. */
export function exactBudgetData(data: PlainJson): PlainJson | object {
  if (typeof data !== 'object' || data === null || !('new_state' in data)) return data;
  const { previous_state: previous, new_state: now, ...rest } = data;
  return { ...rest, ...(previous === undefined ? {} : { previous_state: exactState(previous) }), new_state: exactState(now) };
}

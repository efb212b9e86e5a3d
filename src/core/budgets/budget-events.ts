import type { Happening } from '../access/access-events.ts';
import type { PlainJson } from '../json/plain-json.ts';
import { remainingOf, type Account } from '../ledger/account.ts';
import { ledgerIdOf } from './ledger-id.ts';

/** What an event shows of a budget before and after; amounts as decimal text. Source: Cycles governance, `EventDataBudgetLifecycle`. */
const budgetState = (account: Account): { readonly [name: string]: PlainJson } => ({
  allocated: `${account.allocated ?? 0n}`,
  remaining: `${remainingOf(account) ?? 0n}`,
  debt: `${account.debt}`,
  spent: `${account.spent}`,
  reserved: `${account.reserved}`,
  status: account.status,
});

/** What else changes of a budget, which events tell beside their data: its place in the data is not provided for. */
const budgetTerms = (account: Account): { readonly [name: string]: PlainJson } => ({
  overdraft_limit: `${account.overdraftLimit}`,
  is_over_limit: account.isOverLimit,
  ...(account.overagePolicy === null ? {} : { commit_overage_policy: account.overagePolicy }),
});

const changedNames = (before: { readonly [name: string]: PlainJson }, now: { readonly [name: string]: PlainJson }): string[] =>
  Object.keys({ ...before, ...now }).filter((name) => before[name] !== now[name]);

/**
 * What happened to a budget, as its events tell it: both states, the names of what changed, and as metadata the terms that changed with
 * what they were before. `previous` is null for a budget that is new.
 */
export function budgetHappening(
  type: string,
  operation: 'CREATE' | 'UPDATE' | 'STATUS_CHANGE' | 'CREDIT' | 'DEBIT' | 'RESET' | 'RESET_SPENT' | 'REPAY_DEBT',
  change: {
    readonly previous: Account | null;
    readonly account: Account;
    readonly reason?: string;
    /** More of the data. */
    readonly more?: { readonly [name: string]: PlainJson };
    /** More of the metadata. */
    readonly metadata?: { readonly [name: string]: PlainJson };
  },
): Happening {
  const { previous, account, reason, more } = change;
  const now = budgetState(account);
  const shared = { ledger_id: ledgerIdOf(account), scope: account.scope, unit: account.unit, operation };
  const told = { ...more, ...(reason === undefined ? {} : { reason }) };
  if (previous === null) return { type, scope: account.scope, data: { ...shared, new_state: now, ...told } };
  const before = budgetState(previous);
  const [oldTerms, terms] = [budgetTerms(previous), budgetTerms(account)];
  const changedTerms = changedNames(oldTerms, terms);
  const isRelabelled = JSON.stringify(previous.budget?.metadata ?? {}) !== JSON.stringify(account.budget?.metadata ?? {});
  const changed = [...changedNames(before, now), ...changedTerms, ...(isRelabelled ? ['metadata'] : [])];
  const pick = (from: { readonly [name: string]: PlainJson }): PlainJson =>
    Object.fromEntries(changedTerms.map((name) => [name, from[name] ?? null]));
  const metadata = {
    ...(changedTerms.length === 0 ? {} : { previous_terms: pick(oldTerms), new_terms: pick(terms) }),
    ...change.metadata,
  };
  return {
    type,
    scope: account.scope,
    data: { ...shared, previous_state: before, new_state: now, changed_fields: changed, ...told },
    ...(Object.keys(metadata).length === 0 ? {} : { metadata }),
  };
}

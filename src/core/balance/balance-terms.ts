import { invalid, type Refusal } from '../access/rules.ts';
import type { Effect } from '../effects.ts';
import { newAccount, type AccountId } from '../ledger/account.ts';
import { CURRENCY_RULE, currencyOf, isCurrency, PRICE_CURRENCY, renderMicrocents } from '../pricing/currency.ts';
import type { RecordRef, Tenant } from '../records.ts';
import { rejected } from '../rejection.ts';
import type { State } from '../verb.ts';
import { balanceId, unspentOf } from './balance-account.ts';

/**
 * What whoever changes a tenant's currency or balance saw before: the currency that it had, and the id of the rate that applies to the
 * one that it gets: empty for USD, null where there is none. The decision refuses what is no longer so.
 */
export interface SeenTerms {
  readonly currency: string;
  readonly rateId: string | null;
}

/** What a decision on the balance of a tenant needs: the accounts in the currency it has and in the one it gets, and that one's rate. */
export const balanceNeeds = (
  tenantId: string,
  seen: SeenTerms,
  currency: string,
): { readonly accounts: AccountId[]; readonly records: RecordRef[] } => ({
  accounts: [...new Set([balanceId(tenantId, seen.currency), balanceId(tenantId, currency)])],
  records: seen.rateId === null || seen.rateId === '' ? [] : [{ kind: 'exchange-rate', id: seen.rateId }],
});

/** Refuses to keep a balance in a currency that no rate applies to at `nowMs`: nobody could say what a call takes from it. */
export function refuseUnrated(state: State, currency: string, rateId: string | null, nowMs: number): Refusal | null {
  if (currency === PRICE_CURRENCY) return null;
  const rate = rateId === null || rateId === '' ? undefined : state.record('exchange-rate', rateId);
  if (rate !== undefined && rate.currency === currency && rate.appliesFromMs <= nowMs) return null;
  return invalid('currency', `have an exchange rate that applies before a balance is kept in it; declare one for ${currency}`);
}

/** Refuses what was decided by a currency that the tenant has no more: `conflict`. */
export const refuseOtherCurrency = (tenant: Tenant, currency: string): Refusal | null =>
  currencyOf(tenant) === currency
    ? null
    : rejected({ code: 'conflict', message: `the currency of the tenant ${tenant.id} is ${currencyOf(tenant)}`, field: 'currency' });

/** Refuses to leave a currency in which something was paid ahead, is owed or is held: `conflict`. */
function refuseLeaving(state: State, tenant: Tenant, currency: string): Refusal | null {
  const from = currencyOf(tenant);
  const account = from === currency ? undefined : state.account(balanceId(tenant.id, from));
  if (account === undefined || (unspentOf(account) === 0n && account.reserved === 0n)) return null;
  const left = `${renderMicrocents(unspentOf(account))} ${from}, of which calls in flight hold ${renderMicrocents(account.reserved)}`;
  const message = `the currency can change only at a balance of 0; the balance is ${left}`;
  return rejected({ code: 'conflict', message, field: 'currency' });
}

/** The effect that makes the account of a tenant's balance in `currency`, where there is none yet. */
export function openingEffects(state: State, tenantId: string, currency: string, nowMs: number): Effect[] {
  const id = balanceId(tenantId, currency);
  return state.account(id) === undefined ? [{ type: 'account', account: newAccount(id, { nowMs, unlimited: false }) }] : [];
}

/** The tenant that a change of terms makes, with the account that it needs, or why there is no such change. */
export type TermsChange =
  | { readonly ok: true; readonly tenant: Tenant; readonly effects: readonly Effect[] }
  | { readonly ok: false; readonly refusal: Refusal };

/**
 * Gives `edited`, which has a currency or a requirement that `before` had not, the balance that it needs: once one is required it is kept.
 * `before` is undefined for a new tenant.
 *
 * Refuses, in this order: `conflict` (the currency was changed meanwhile), `invalid_request` (currency), `conflict` (a balance that is
 * not 0, or of which something is held), `invalid_request` (a balance without a rate). Looks at the rows of {@link balanceNeeds}.
 */
export function changeTerms(
  state: State,
  change: { readonly before: Tenant | undefined; readonly edited: Tenant; readonly seen: SeenTerms },
  nowMs: number,
): TermsChange {
  const { before, edited, seen } = change;
  const currency = currencyOf(edited);
  const hasBalance = edited.hasBalance === true || edited.requireBalance === true;
  const refusal =
    (before === undefined ? null : refuseOtherCurrency(before, seen.currency)) ??
    (isCurrency(currency) ? null : invalid('currency', CURRENCY_RULE)) ??
    (before === undefined ? null : refuseLeaving(state, before, currency)) ??
    (hasBalance ? refuseUnrated(state, currency, seen.rateId, nowMs) : null);
  if (refusal !== null) return { ok: false, refusal };
  if (!hasBalance) return { ok: true, tenant: edited, effects: [] };
  return { ok: true, tenant: { ...edited, hasBalance: true }, effects: openingEffects(state, edited.id, currency, nowMs) };
}

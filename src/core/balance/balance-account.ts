import { accountId, type Account, type AccountId } from '../ledger/account.ts';
import { currencyOf, unitOfCurrency } from '../pricing/currency.ts';
import type { Tenant } from '../records.ts';

/** The account of what a tenant has paid ahead in `currency`: its allocation is the sum of all credits. Source: architecture section 4. */
export const balanceId = (tenantId: string, currency: string): AccountId =>
  accountId({ tenantId, kind: 'balance', scope: `tenant:${tenantId}`, unit: unitOfCurrency(currency), period: '' });

/**
 * The account that calls of a tenant take from; null where it keeps no balance. Once it does it does so for good: a balance that is not
 * required counts, may fall below 0, and refuses nothing.
 */
export const tenantBalanceId = (tenant: Tenant | undefined): AccountId | null =>
  tenant?.hasBalance === true ? balanceId(tenant.id, currencyOf(tenant)) : null;

/** An account as a hold is judged by it: a balance that its tenant does not require counts like one without a limit. */
export const judgedBalance = (account: Account, tenant: Tenant | undefined): Account =>
  account.kind === 'balance' && tenant?.requireBalance !== true ? { ...account, allocated: null } : account;

/** What was paid in and not spent, in micro-cents; what calls in flight hold is still part of it. Negative where more was spent. */
export const unspentOf = ({ allocated, spent, debt }: Account): bigint => (allocated ?? 0n) - spent - debt;

import { currencyOf, unitOfCurrency } from '../../core/pricing/currency.ts';
import { accountId, remainingOf } from '../../core/ledger/account.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/** What a tenant has paid ahead and not spent: micro-cents of its currency, a code of ISO 4217. Negative where it owes. */
export interface Balance {
  readonly microcents: bigint;
  readonly currency: string;
}

/** Makes the use case that tells a tenant's balance: 0 where nothing was ever paid in. Never refuses. */
export function makeReadBalance(deps: { records: Pick<RecordStore, 'accounts' | 'record'> }) {
  return async (tenantId: string): Promise<Balance> => {
    const currency = currencyOf(await deps.records.record('tenant', tenantId));
    const id = accountId({ tenantId, kind: 'balance', scope: `tenant:${tenantId}`, unit: unitOfCurrency(currency), period: '' });
    const account = (await deps.records.accounts([id])).get(id);
    return { microcents: account === undefined ? 0n : (remainingOf(account) ?? 0n), currency };
  };
}

import { balanceId, unspentOf } from '../../core/balance/balance-account.ts';
import { currencyOf } from '../../core/pricing/currency.ts';
import type { Tenant } from '../../core/records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/**
 * What a tenant has paid ahead, in micro-cents of its currency: what was credited in all, what calls took of it, what is left
 * (`unspent`; negative where it owes), and how much of that calls in flight hold.
 */
export interface Balance {
  readonly tenant: Tenant;
  readonly currency: string;
  readonly credited: bigint;
  readonly spent: bigint;
  readonly unspent: bigint;
  readonly held: bigint;
}

/** Makes the use case that tells a tenant's balance: all 0 where nothing was ever paid in. Rejects: `not_found`. */
export function makeReadBalance(deps: { records: Pick<RecordStore, 'accounts' | 'record'> }) {
  return async (tenantId: string): Promise<Outcome<Balance>> => {
    const tenant = await deps.records.record('tenant', tenantId);
    if (tenant === undefined) return rejected({ code: 'not_found', message: `tenant ${tenantId} not found` });
    const currency = currencyOf(tenant);
    const id = balanceId(tenantId, currency);
    const account = (await deps.records.accounts([id])).get(id);
    if (account === undefined) return accepted({ tenant, currency, credited: 0n, spent: 0n, unspent: 0n, held: 0n });
    const { allocated, spent, debt, reserved } = account;
    return accepted({
      tenant,
      currency,
      credited: allocated ?? 0n,
      spent: spent + debt,
      unspent: unspentOf(account),
      held: reserved,
    });
  };
}

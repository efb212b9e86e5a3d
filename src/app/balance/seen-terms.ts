import type { SeenTerms } from '../../core/balance/balance-terms.ts';
import { currencyOf, PRICE_CURRENCY } from '../../core/pricing/currency.ts';
import type { Tenant } from '../../core/records.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/**
 * The id of the rate of `currency` that is the first to apply: empty for USD, null where none is declared. Whether its moment has come is
 * for the decision to say.
 */
export async function firstRateId(records: Pick<RecordStore, 'records'>, currency: string): Promise<string | null> {
  if (currency === PRICE_CURRENCY) return '';
  const rates = (await records.records('exchange-rate')).filter((rate) => rate.currency === currency);
  const [first] = rates.toSorted((a, b) => a.appliesFromMs - b.appliesFromMs);
  return first?.id ?? null;
}

/** What a command that sets the terms of a balance says that it saw; nothing for one that sets none. `kept` is undefined for a new tenant. */
export async function seenTerms(
  records: Pick<RecordStore, 'records'>,
  kept: Tenant | undefined,
  set: { readonly currency?: string | undefined; readonly requireBalance?: boolean | undefined },
): Promise<{ readonly seen?: SeenTerms }> {
  if (set.currency === undefined && set.requireBalance === undefined) return {};
  const currency = set.currency ?? currencyOf(kept);
  return { seen: { currency: kept === undefined ? currency : currencyOf(kept), rateId: await firstRateId(records, currency) } };
}

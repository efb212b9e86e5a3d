import type { StatementLine } from '../../core/bills/bill-records.ts';
import { partsByRate, withRates } from '../../core/bills/convert.ts';
import { correctionLine, firstLateMonth, usageLines } from '../../core/bills/make-statement.ts';
import { monthOf, monthRange, monthsBetween, nextMonth, type Month } from '../../core/bills/month.ts';
import { currencyOf } from '../../core/pricing/currency.ts';
import type { Tenant } from '../../core/records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/** What bills are made from. */
export type OpenLineReads = Pick<RecordStore, 'record' | 'records' | 'usageCharges' | 'keyNames'>;

/** Lines that no statement has, and their total in the tenant's currency where each has a rate. */
export type OpenLines = ReturnType<typeof withRates>;

/**
 * The lines of `month`, of what was told of `earlier` months since, and of corrections, as far as no statement has them.
 *
 * What statements have is read before the usage: a statement that is found there was made from usage that was read before, so nothing of it is
 * missing now.
 */
export async function openLines(
  records: OpenLineReads,
  of: { readonly tenant: Tenant; readonly month: Month; readonly earlier: readonly Month[] },
): Promise<OpenLines> {
  const { tenant, month } = of;
  const months = [month, ...of.earlier];
  const billed = await linesSince(records, tenant.id, months.toSorted()[0] ?? month);
  const corrections = (await records.records('bill-correction', tenant.id)).filter(({ statementId }) => statementId === null);
  const rates = await records.records('exchange-rate');
  const found: StatementLine[] = [];
  for (const each of months) {
    const parts = each === month ? partsByRate(month, rates, currencyOf(tenant)) : [monthRange(each)];
    for (const part of parts) {
      const used = await records.usageCharges({ tenantId: tenant.id, ...part });
      const keyIds = [...new Set(used.map(({ keyId }) => keyId))];
      const keyNames = await records.keyNames(tenant.id, keyIds);
      const start = parts.length > 1 ? { fromMs: part.fromMs } : {};
      found.push(...usageLines({ month: each, ...start, used, billed, keyNames }));
    }
  }
  found.push(...corrections.map(correctionLine));
  return withRates(found, { tenant, month, rates });
}

/** The lines of the tenant's statements of months from `first` on: no earlier one has usage of those months. */
async function linesSince(records: OpenLineReads, tenantId: string, first: Month): Promise<StatementLine[]> {
  const statements = (await records.records('statement', tenantId)).filter(({ month }) => month >= first);
  const kept = await Promise.all(statements.map(({ id }) => records.record('statement-lines', id)));
  return kept.flatMap((found) => found?.lines ?? []);
}

/** What the next bill of a tenant would say now. */
export interface OpenBill extends OpenLines {
  readonly month: Month;
}

/** Makes the use case that shows what no bill of a tenant has yet. Rejects: `not_found`. */
export function makeReadOpenBill(deps: {
  readonly records: OpenLineReads & Pick<RecordStore, 'firstUsageMs'>;
  readonly clock: Clock;
}): (tenantId: string) => Promise<Outcome<OpenBill>> {
  const { records, clock } = deps;
  return async (tenantId) => {
    const tenant = await records.record('tenant', tenantId);
    if (tenant === undefined) return rejected({ code: 'not_found', message: `tenant ${tenantId} not found` });
    const month = monthOf(clock.nowMs());
    const closed = (await records.record('bill-state', tenantId))?.closedMonth ?? null;
    const firstMs = closed === null ? await records.firstUsageMs(tenantId) : null;
    const first = closed !== null ? firstLateMonth(closed) : firstMs === null ? month : monthOf(firstMs);
    const earlier = monthsBetween(first, month).filter((each) => nextMonth(each) <= month);
    return accepted({ month, ...(await openLines(records, { tenant, month, earlier })) });
  };
}

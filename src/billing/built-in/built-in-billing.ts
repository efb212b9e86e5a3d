import type { BillLink, Statement } from '../../core/bills/bill-records.ts';
import { billPath } from '../../core/bills/bill-path.ts';
import { PRICE_CURRENCY } from '../../core/pricing/currency.ts';
import { displayedAmount } from '../../core/pricing/displayed-amount.ts';
import type { BillTokens } from '../../ports/bill-tokens.ts';
import type { Billing, Transaction } from '../../ports/billing.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/** Bills that this server keeps by itself. */
export function makeBuiltInBilling(deps: {
  readonly records: Pick<RecordStore, 'records'>;
  readonly tokens: Pick<BillTokens, 'tokenOf'>;
}): Billing {
  const { records, tokens } = deps;
  const urlOf = (billId: string, link: BillLink | undefined): { invoiceUrl?: string } =>
    link?.isRevoked === true ? {} : { invoiceUrl: billPath(billId, tokens.tokenOf(billId, link?.version ?? 0)) };
  return {
    transactions: async (tenantId) => {
      const [statements, links] = await Promise.all([records.records('statement', tenantId), records.records('bill-link', tenantId)]);
      const linkOf = new Map(links.map((link) => [link.id, link]));
      return statements
        .map((statement): Transaction => ({ ...transactionOf(statement), ...urlOf(statement.id, linkOf.get(statement.id)) }))
        .toSorted((a, b) => b.atMs - a.atMs || (a.id < b.id ? 1 : -1));
    },
  };
}

const transactionOf = ({ id, issuedAtMs, number, month, totalMicrocents, converted }: Statement): Transaction => ({
  id,
  atMs: issuedAtMs,
  type: 'Invoice',
  description: `Usage in ${month}, statement ${number}`,
  amount: displayedAmount(BigInt(converted?.totalMicrocents ?? totalMicrocents)),
  currency: converted?.currency ?? PRICE_CURRENCY,
  status: 'completed',
});

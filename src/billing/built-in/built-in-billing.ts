import type { BillLink, Statement } from '../../core/bills/bill-records.ts';
import { billPath } from '../../core/bills/bill-path.ts';
import type { Credit } from '../../core/records.ts';
import { PRICE_CURRENCY } from '../../core/pricing/currency.ts';
import { displayedAmount } from '../../core/pricing/displayed-amount.ts';
import type { BillTokens } from '../../ports/bill-tokens.ts';
import type { Billing, Transaction } from '../../ports/billing.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/** Credits that are listed at most: the newest. */
const CREDITS_LISTED = 1000;

/** Bills that this server keeps by itself: statements, and what was paid into prepaid balances or taken back. */
export function makeBuiltInBilling(deps: {
  readonly records: Pick<RecordStore, 'records' | 'credits'>;
  readonly tokens: Pick<BillTokens, 'tokenOf'>;
}): Billing {
  const { records, tokens } = deps;
  const urlOf = (billId: string, link: BillLink | undefined): { invoiceUrl?: string } =>
    link?.isRevoked === true ? {} : { invoiceUrl: billPath(billId, tokens.tokenOf(billId, link?.version ?? 0)) };
  return {
    transactions: async (tenantId) => {
      const [statements, credits, links] = await Promise.all([
        records.records('statement', tenantId),
        records.credits({ tenantId, limit: CREDITS_LISTED }),
        records.records('bill-link', tenantId),
      ]);
      const linkOf = new Map(links.map((link) => [link.id, link]));
      return [...statements.map(invoiceOf), ...credits.map(chargeOf)]
        .map((transaction): Transaction => ({ ...transaction, ...urlOf(transaction.id, linkOf.get(transaction.id)) }))
        .toSorted((a, b) => b.atMs - a.atMs || (a.id < b.id ? 1 : -1));
    },
  };
}

const invoiceOf = ({ id, issuedAtMs, number, month, totalMicrocents, converted }: Statement): Transaction => ({
  id,
  atMs: issuedAtMs,
  type: 'Invoice',
  description: `Usage in ${month}, statement ${number}`,
  amount: displayedAmount(BigInt(converted?.totalMicrocents ?? totalMicrocents)),
  currency: converted?.currency ?? PRICE_CURRENCY,
  status: 'completed',
});

const chargeOf = ({ id, createdAtMs, reason, microcents, currency }: Credit): Transaction => ({
  id,
  atMs: createdAtMs,
  type: 'Charge',
  description: `Prepaid balance: ${reason}`,
  amount: displayedAmount(BigInt(microcents)),
  currency,
  status: 'completed',
});

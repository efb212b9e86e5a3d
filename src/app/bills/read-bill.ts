import type { BillCorrection, Statement, StatementLine } from '../../core/bills/bill-records.ts';
import type { Credit } from '../../core/records.ts';
import type { BillTokens } from '../../ports/bill-tokens.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/** A statement as its page shows it. */
export interface StatementBill {
  readonly kind: 'statement';
  readonly statement: Statement;
  readonly lines: readonly StatementLine[];
  /** Corrections that were made for it since. */
  readonly laterCorrections: readonly BillCorrection[];
}

/** A credit of a prepaid balance as its page shows it, with the name that the tenant has now. */
export interface CreditBill {
  readonly kind: 'credit';
  readonly credit: Credit;
  readonly tenantName: string;
}

/** Finds a bill for whoever brings the token of its link; null where the token is not the one, or was revoked, or there is no such bill. */
export type ReadBill = (billId: string, token: string) => Promise<StatementBill | CreditBill | null>;

/**
 * Makes the {@link ReadBill}. The token is compared before anything of the bill is read, and in the same way whether or not there is such
 * a bill, so that nobody learns by asking which ids there are.
 */
export function makeReadBill(deps: {
  readonly records: Pick<RecordStore, 'record' | 'records'>;
  readonly tokens: Pick<BillTokens, 'isToken'>;
}): ReadBill {
  const { records, tokens } = deps;
  const findCredit = async (id: string): Promise<CreditBill | null> => {
    const credit = await records.record('credit', id);
    if (credit === undefined) return null;
    const tenant = await records.record('tenant', credit.tenantId);
    return { kind: 'credit', credit, tenantName: tenant?.name ?? credit.tenantId };
  };
  return async (billId, token) => {
    const link = await records.record('bill-link', billId);
    if (!tokens.isToken(token, billId, link?.version ?? 0) || link?.isRevoked === true) return null;
    const statement = await records.record('statement', billId);
    if (statement === undefined) return findCredit(billId);
    const [kept, corrections] = await Promise.all([
      records.record('statement-lines', billId),
      records.records('bill-correction', statement.tenantId),
    ]);
    return {
      kind: 'statement',
      statement,
      lines: kept?.lines ?? [],
      laterCorrections: corrections.filter(({ concernsId }) => concernsId === billId),
    };
  };
}

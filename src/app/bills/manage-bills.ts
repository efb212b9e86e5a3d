import type { BillCorrection, BillLink, Statement, StatementLine } from '../../core/bills/bill-records.ts';
import { billPath } from '../../core/bills/bill-path.ts';
import { firstLink } from '../../core/bills/decide-link.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { BillTokens } from '../../ports/bill-tokens.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** A statement with the path of its page; null where its link is revoked. */
export interface ListedBill {
  readonly statement: Statement;
  readonly path: string | null;
}

/** A bill by its id, with the path of its page; null where its link is revoked. */
export interface BillPage {
  readonly id: string;
  readonly tenantId: string;
  readonly path: string | null;
}

/** A correction to be made: `chargeMicrocents` of USD, negative where it is in the tenant's favour. */
export type NewCorrection = Pick<BillCorrection, 'reason' | 'concernsId'> & { readonly chargeMicrocents: bigint };

/** What the operator does with a tenant's bills. Each rejects `not_found` where there is no such tenant, or no such bill of it. */
export interface BillManagement {
  /** Newest first. */
  list(tenantId: string): Promise<Outcome<ListedBill[]>>;
  show(tenantId: string, billId: string): Promise<Outcome<ListedBill & { readonly lines: readonly StatementLine[] }>>;
  /** Newest first. */
  corrections(tenantId: string): Promise<Outcome<BillCorrection[]>>;
  /** Rejects as the command `add-bill-correction` does. */
  correct(actor: Actor, tenantId: string, correction: NewCorrection): Promise<Outcome<BillCorrection>>;
  /** Makes the link to a statement's or a credit's page worthless, at once and for ever; `renew` puts another in its place. */
  setLink(
    actor: Actor,
    bill: { readonly tenantId: string; readonly billId: string },
    change: 'revoke' | 'renew',
  ): Promise<Outcome<BillPage>>;
}

const newestFirst = (a: { readonly id: string }, b: { readonly id: string }): number => (a.id < b.id ? 1 : -1);

/** Makes the {@link BillManagement}. */
export function makeBillManagement(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'record' | 'records'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly tokens: Pick<BillTokens, 'tokenOf'>;
}): BillManagement {
  const { writer, records, ids, tokens } = deps;

  const pathOf = ({ id, version, isRevoked }: BillLink): string | null => (isRevoked ? null : billPath(id, tokens.tokenOf(id, version)));
  const listed = (statement: Statement, link: BillLink | undefined): ListedBill => {
    return { statement, path: pathOf(link ?? firstLink(statement.id, statement.tenantId)) };
  };
  const missing = (what: string) => rejected({ code: 'not_found', message: `${what} not found` });
  const hasTenant = async (tenantId: string): Promise<boolean> => (await records.record('tenant', tenantId)) !== undefined;
  const find = async (tenantId: string, billId: string): Promise<Outcome<Statement>> => {
    const statement = await records.record('statement', billId);
    return statement?.tenantId === tenantId ? accepted(statement) : missing(`bill ${billId.slice(0, 100)}`);
  };

  return {
    list: async (tenantId) => {
      if (!(await hasTenant(tenantId))) return missing(`tenant ${tenantId}`);
      const [statements, links] = await Promise.all([records.records('statement', tenantId), records.records('bill-link', tenantId)]);
      const linkOf = new Map(links.map((link) => [link.id, link]));
      return accepted(statements.toSorted(newestFirst).map((statement) => listed(statement, linkOf.get(statement.id))));
    },
    show: async (tenantId, billId) => {
      const found = await find(tenantId, billId);
      if (!found.ok) return found;
      const [lines, link] = await Promise.all([records.record('statement-lines', billId), records.record('bill-link', billId)]);
      return accepted({ ...listed(found.value, link), lines: lines?.lines ?? [] });
    },
    corrections: async (tenantId) => {
      if (!(await hasTenant(tenantId))) return missing(`tenant ${tenantId}`);
      return accepted((await records.records('bill-correction', tenantId)).toSorted(newestFirst));
    },
    correct: (actor, tenantId, correction) => {
      const id = ids.next('cor');
      const base = auditedBase(ids, actor, { name: 'add-bill-correction', tenantId, resourceKind: 'bill-correction', resourceId: id });
      return writer.execute({ verb: 'add-bill-correction', ...base, correction: { id, ...correction } });
    },
    setLink: async (actor, { tenantId, billId }, change) => {
      const found = (await records.record('statement', billId)) ?? (await records.record('credit', billId));
      if (found?.tenantId !== tenantId) return missing(`bill ${billId.slice(0, 100)}`);
      const base = auditedBase(ids, actor, { name: `${change}-bill-link`, tenantId, resourceKind: 'bill-link', resourceId: billId });
      const outcome = await writer.execute({ verb: 'set-bill-link', ...base, billId, change });
      return outcome.ok ? accepted({ id: billId, tenantId, path: pathOf(outcome.value) }) : outcome;
    },
  };
}

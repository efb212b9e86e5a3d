import { accepted } from '../rejection.ts';
import { refuse, type Verb } from '../verb.ts';
import { notFound } from '../access/rules.ts';
import type { BillLink } from './bill-records.ts';
import type { SetBillLinkCommand } from './commands.ts';

/** The link of a bill whose link was never changed. */
export const firstLink = (id: string, tenantId: string): BillLink => ({ id, tenantId, version: 0, isRevoked: false });

/**
 * Revokes the link to a bill, or puts another in its place. Whether there is such a bill is for the caller to know: bills stay for ever.
 * The value is the link as it is now. Rejects: `not_found` (the tenant, or the link is another tenant's).
 */
export const setBillLinkVerb: Verb<SetBillLinkCommand, BillLink> = {
  needs: ({ billId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'bill-link', id: billId }] }),
  decide: (state, { tenantId, billId, change }) => {
    if (state.record('tenant', tenantId) === undefined) return refuse(notFound(`tenant ${tenantId}`));
    const before = state.record('bill-link', billId) ?? firstLink(billId, tenantId);
    if (before.tenantId !== tenantId) return refuse(notFound(`bill ${billId}`));
    const after: BillLink =
      change === 'revoke' ? { ...before, isRevoked: true } : { ...before, version: before.version + 1, isRevoked: false };
    return { outcome: accepted(after), effects: [{ type: 'record', kind: 'bill-link', id: billId, record: after }] };
  },
};

import { invalid, notFound } from '../access/rules.ts';
import { accepted } from '../rejection.ts';
import { refuse, type Verb } from '../verb.ts';
import type { LinkCustomerCommand } from './commands.ts';
import type { BillingCustomer } from './payment-records.ts';

const CUSTOMER_ID = /^cus_[A-Za-z0-9]{1,100}$/;

/**
 * Says which customer of the payment service a tenant is. The value is what stands, so that nodes that ask together agree.
 *
 * Rejects, in this order: `not_found` (the tenant), `invalid_request` (customer_id).
 */
export const linkCustomerVerb: Verb<LinkCustomerCommand, BillingCustomer> = {
  needs: ({ tenantId }) => ({ tenantLock: 'exclusive', records: [{ kind: 'billing-customer', id: tenantId }] }),
  decide: (state, { tenantId, customerId, replace }, nowMs) => {
    if (state.record('tenant', tenantId) === undefined) return refuse(notFound(`tenant ${tenantId}`));
    if (!CUSTOMER_ID.test(customerId)) return refuse(invalid('customer_id', 'be the id of a customer, such as cus_NffrFeUfNV2Hib'));
    const before = state.record('billing-customer', tenantId);
    if (before !== undefined && (!replace || before.customerId === customerId)) return { outcome: accepted(before), effects: [] };
    const record: BillingCustomer = { id: tenantId, tenantId, customerId, createdAtMs: nowMs };
    return { outcome: accepted(record), effects: [{ type: 'record', kind: 'billing-customer', id: tenantId, record }] };
  },
};

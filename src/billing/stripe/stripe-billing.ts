import type { Billing } from '../../ports/billing.ts';
import type { PaymentService } from '../../ports/payment-service.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/** Bills that the payment service keeps; a tenant that is no customer there has none. */
export const makeStripeBilling = (deps: {
  readonly records: Pick<RecordStore, 'record'>;
  readonly service: Pick<PaymentService, 'transactions'>;
}): Billing => ({
  transactions: async (tenantId) => {
    const customer = await deps.records.record('billing-customer', tenantId);
    return customer === undefined ? [] : deps.service.transactions(customer.customerId);
  },
});

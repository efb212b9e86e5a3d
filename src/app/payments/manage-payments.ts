import type { BillingCustomer, UsageMeter } from '../../core/payments/payment-records.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { Ids } from '../../ports/ids.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { auditedBase, type Actor } from '../audited-command.ts';
import type { LedgerWriter } from '../ledger-writer.ts';

/** What a tenant is to the payment service: each part null where there is none. */
export interface PaymentState {
  readonly customer: BillingCustomer | null;
  readonly meter: UsageMeter | null;
}

/** What the operator does about the payment service. */
export interface PaymentManagement {
  /** Rejects: `not_found`. */
  show(tenantId: string): Promise<Outcome<PaymentState>>;
  /** Says which customer the tenant is. Rejects as the command `link-billing-customer` does. */
  link(actor: Actor, tenantId: string, customerId: string): Promise<Outcome<BillingCustomer>>;
  /** Tells whether the service has a portion of usage of which nobody knew. Rejects as `finish-usage-report` does. */
  settle(actor: Actor, portion: { readonly tenantId: string; readonly no: number }, wasTaken: boolean): Promise<Outcome<UsageMeter>>;
}

/** Makes the {@link PaymentManagement}. */
export function makePaymentManagement(deps: {
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly records: Pick<RecordStore, 'record'>;
  readonly ids: Pick<Ids, 'next'>;
}): PaymentManagement {
  const { writer, records, ids } = deps;
  return {
    show: async (tenantId) => {
      const [tenant, customer, meter] = await Promise.all([
        records.record('tenant', tenantId),
        records.record('billing-customer', tenantId),
        records.record('usage-meter', tenantId),
      ]);
      if (tenant === undefined) return rejected({ code: 'not_found', message: `tenant ${tenantId} not found` });
      return accepted({ customer: customer ?? null, meter: meter ?? null });
    },
    link: (actor, tenantId, customerId) => {
      const base = auditedBase(ids, actor, {
        name: 'link-billing-customer',
        tenantId,
        resourceKind: 'billing-customer',
        resourceId: tenantId,
      });
      return writer.execute({ verb: 'link-billing-customer', ...base, customerId, replace: true });
    },
    settle: (actor, { tenantId, no }, wasTaken) => {
      const base = auditedBase(ids, actor, { name: 'finish-usage-report', tenantId, resourceKind: 'usage-meter', resourceId: tenantId });
      return writer.execute({ verb: 'finish-usage-report', ...base, no, wasTaken });
    },
  };
}

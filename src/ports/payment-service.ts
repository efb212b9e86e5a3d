import type { Transaction } from './billing.ts';

/** A portion of usage as the payment service is told of it: USD_MICROCENTS. `identifier` is the same however often it is sent. */
export interface UsagePortion {
  readonly customerId: string;
  readonly identifier: string;
  readonly microcents: bigint;
  readonly atMs: number;
}

/** A payment that succeeded: `microcents` of `currency` for a tenant. `id` is that of the payment, however many events tell of it. */
export interface PaymentEvent {
  readonly id: string;
  readonly eventId: string;
  readonly tenantId: string;
  readonly currency: string;
  readonly microcents: bigint;
}

/**
 * What came by a webhook: nothing that was signed for us lately (`forged`), something that we make nothing of (`other`), or a payment.
 */
export type WebhookRead =
  | { readonly kind: 'forged' }
  | { readonly kind: 'other' }
  | { readonly kind: 'paid'; readonly payment: PaymentEvent };

/** Where customers pay. Every method throws a `Fault` where the service cannot be reached, or nobody knows what became of a request. */
export interface PaymentService {
  /** The customer that stands for a tenant there: the one that was made before, else a new one. Returns its id. */
  findOrMakeCustomer(tenant: { readonly id: string; readonly name: string }): Promise<string>;
  /** A customer's invoices and standalone charges, newest first. Empty for one that is not there. */
  transactions(customerId: string): Promise<Transaction[]>;
  /**
   * Tells of a portion of usage. `taken`: it counts, be it from an earlier time that it was sent. `refused`: this sending of it certainly does not.
   */
  reportUsage(portion: UsagePortion): Promise<'taken' | 'refused'>;
  /** Reads what came by a webhook, over the bytes as they came. */
  readWebhook(delivery: { readonly body: Buffer; readonly signature: string; readonly nowMs: number }): WebhookRead;
}

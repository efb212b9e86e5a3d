/**
 * One line of a tenant's billing history. `amount` is in whole units of `currency`, an ISO 4217 code. `invoiceUrl` is where its page is: an
 * address, or a path on this server's control plane. Source: Tinfoil Admin API, transactions.
 */
export interface Transaction {
  readonly id: string;
  readonly atMs: number;
  readonly type: 'Invoice' | 'Charge';
  readonly description: string;
  readonly amount: number;
  readonly currency: string;
  readonly status: string;
  readonly invoiceUrl?: string;
}

/** Where bills are kept. */
export interface Billing {
  /** A tenant's invoices and charges, newest first; empty where it has no customer there. */
  transactions(tenantId: string): Promise<Transaction[]>;
}

/** Which customer of the payment service a tenant is, under the tenant's id. */
export interface BillingCustomer {
  readonly id: string;
  readonly tenantId: string;
  readonly customerId: string;
  readonly createdAtMs: number;
}

/**
 * A payment that was taken, under the id that the payment service gave it. `eventId` is of the first event that told of it. `creditId` is the
 * credit of the tenant's balance that came of it; null where none could, for `refusal`.
 */
export interface Payment {
  readonly id: string;
  readonly tenantId: string;
  readonly eventId: string;
  readonly currency: string;
  readonly microcents: string;
  readonly creditId: string | null;
  readonly refusal: string | null;
  readonly createdAtMs: number;
}

/**
 * A portion of usage on its way to the payment service: `microcents` (decimal USD_MICROCENTS) of `customerId`. `identifier` names it there:
 * whoever sends it again sends the same. `firstSentAtMs` is when it may have arrived first; until `claimedUntilMs` one node is at it.
 */
export interface PendingUsage {
  readonly no: number;
  readonly identifier: string;
  readonly customerId: string;
  readonly microcents: string;
  readonly firstSentAtMs: number;
  readonly claimedUntilMs: number;
}

/**
 * How much of a tenant's usage the payment service was told of, under the tenant's id: `reportedMicrocents` (decimal) in `no` portions, and
 * the next one, where one is on its way.
 */
export interface UsageMeter {
  readonly id: string;
  readonly tenantId: string;
  readonly no: number;
  readonly reportedMicrocents: string;
  readonly pending: PendingUsage | null;
}

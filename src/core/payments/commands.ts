import type { CommandBase } from '../verb.ts';

/** Says which customer of the payment service the tenant is; unless `replace`, one that is known stays. */
export interface LinkCustomerCommand extends CommandBase {
  readonly verb: 'link-billing-customer';
  readonly customerId: string;
  readonly replace: boolean;
}

/**
 * Takes the next portion of the tenant's usage to tell the payment service of. `totalMicrocents` is all that the tenant was ever charged;
 * what tenants from before `sinceMs` used until their first portion is not told.
 */
export interface ClaimUsageCommand extends CommandBase {
  readonly verb: 'claim-usage-report';
  readonly totalMicrocents: bigint;
  readonly customerId: string;
  readonly sinceMs: number;
}

/** Ends the portion `no`: the payment service has it, or it certainly has not, and its usage is due again. */
export interface FinishUsageCommand extends CommandBase {
  readonly verb: 'finish-usage-report';
  readonly no: number;
  readonly wasTaken: boolean;
}

/**
 * Takes a payment: credits it to the tenant's balance, once, whatever tells of it. `rateId` is of the rate that applies to its currency, as in
 * `credit-balance`.
 */
export interface TakePaymentCommand extends CommandBase {
  readonly verb: 'take-payment';
  readonly payment: { readonly id: string; readonly eventId: string; readonly currency: string; readonly microcents: bigint };
  readonly creditId: string;
  readonly rateId: string | null;
}

/** Every command about the payment service. */
export type PaymentCommand = LinkCustomerCommand | ClaimUsageCommand | FinishUsageCommand | TakePaymentCommand;

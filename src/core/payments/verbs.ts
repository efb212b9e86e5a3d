import type { Verb } from '../verb.ts';
import type { PaymentCommand } from './commands.ts';
import { linkCustomerVerb } from './decide-customer.ts';
import { takePaymentVerb } from './decide-payment.ts';
import { claimUsageVerb, finishUsageVerb } from './decide-usage-meter.ts';

/** The decisions about the payment service, by verb. */
export const PAYMENT_VERBS = {
  'link-billing-customer': linkCustomerVerb,
  'claim-usage-report': claimUsageVerb,
  'finish-usage-report': finishUsageVerb,
  'take-payment': takePaymentVerb,
} as const satisfies { readonly [K in PaymentCommand['verb']]: Verb<Extract<PaymentCommand, { verb: K }>, unknown> };

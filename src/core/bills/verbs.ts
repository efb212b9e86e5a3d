import type { Verb } from '../verb.ts';
import type { BillCommand } from './commands.ts';
import { addCorrectionVerb } from './decide-correction.ts';
import { setBillLinkVerb } from './decide-link.ts';
import { closeMonthVerb } from './decide-close-month.ts';

/** The decisions about bills, by verb. */
export const BILL_VERBS = {
  'close-bill-month': closeMonthVerb,
  'add-bill-correction': addCorrectionVerb,
  'set-bill-link': setBillLinkVerb,
} as const satisfies { readonly [K in BillCommand['verb']]: Verb<Extract<BillCommand, { verb: K }>, unknown> };

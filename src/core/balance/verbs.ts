import type { Verb } from '../verb.ts';
import type { BalanceCommand } from './commands.ts';
import { creditBalanceVerb } from './decide-credit.ts';

/** The decisions on balances, by verb. */
export const BALANCE_VERBS = {
  'credit-balance': creditBalanceVerb,
} as const satisfies { readonly [K in BalanceCommand['verb']]: Verb<Extract<BalanceCommand, { verb: K }>, unknown> };

import type { CommandIdempotency } from '../ledger/commands.ts';
import type { CommandBase } from '../verb.ts';

/**
 * Pays `amount` micro-cents of `currency` into a tenant's balance; a negative amount takes back. `creditId` is the id of the line that
 * comes of it. `rateId` is the rate that applies to the currency: empty for USD, null where there is none.
 */
export interface CreditBalanceCommand extends CommandBase {
  readonly verb: 'credit-balance';
  readonly creditId: string;
  readonly currency: string;
  readonly rateId: string | null;
  readonly amount: bigint;
  readonly reason: string;
  readonly idempotency?: CommandIdempotency;
}

/** Every command on balances. */
export type BalanceCommand = CreditBalanceCommand;

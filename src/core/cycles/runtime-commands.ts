import type { PlainJson } from '../json/plain-json.ts';
import type { OveragePolicy } from '../ledger/account.ts';
import type { CommandIdempotency } from '../ledger/commands.ts';
import type { RateLimit } from '../policy/rate-window.ts';
import type { CommandBase } from '../verb.ts';
import type { CyclesUnit } from './units.ts';

/** A spend that budgets are asked for: int64 `amount` in `unit`, on every budget of the scopes of `scopePath`. */
export interface BudgetRequest {
  readonly scopePath: string;
  readonly unit: CyclesUnit;
  readonly amount: bigint;
  /** What the policy of these scopes allows in a minute; null or absent where it says nothing. */
  readonly limit?: RateLimit | null;
  /** What the policy advises, as the answer shows it; null or absent where it says nothing. */
  readonly caps?: PlainJson;
  /**
   * Whether budgets in other units are looked at too, so that where none covers the scopes a wrong unit is told from a missing budget. It
   * is asked for by a second try alone: who is covered need not pay for it.
   */
  readonly withOtherUnits: boolean;
}

/**
 * Holds an amount for a Cycles client, on every budget or on none. `overagePolicy` null: what the deepest budget says, else the tenant,
 * else ALLOW_IF_AVAILABLE. `details` is JSON text of what the client said beside (subject, action, metadata), kept as it is.
 */
export interface ReserveBudgetCommand extends CommandBase, BudgetRequest {
  readonly verb: 'reserve-budget';
  readonly reservationId: string;
  readonly overagePolicy: OveragePolicy | null;
  readonly ttlMs: number;
  readonly graceMs: number;
  readonly maxExtensions: number;
  readonly details: string;
  readonly idempotency: CommandIdempotency;
}

/** Tells what a `reserve-budget` would come to, and changes nothing. `isDryRun`: it shares its idempotency keys with those. */
export interface EvaluateBudgetCommand extends CommandBase, BudgetRequest {
  readonly verb: 'evaluate-budget';
  readonly isDryRun: boolean;
  readonly idempotency: CommandIdempotency;
}

/** Every command that only the runtime plane sends. */
export type RuntimeCommand = ReserveBudgetCommand | EvaluateBudgetCommand;

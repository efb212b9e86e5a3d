import type { PlainJson } from '../json/plain-json.ts';
import type { AccountId, OveragePolicy, RolloverPolicy, Unit } from '../ledger/account.ts';
import type { CommandIdempotency, FundOperation } from '../ledger/commands.ts';
import type { CommandBase } from '../verb.ts';

/**
 * Makes a budget of the command's tenant. Amounts are int64 in its unit. `periodEndMs` null: it has no periods, and `periodStartMs` is
 * kept as it is; a start that is null is then the moment of creation.
 */
export interface CreateBudgetCommand extends CommandBase {
  readonly verb: 'create-budget';
  readonly ledgerId: string;
  readonly scope: string;
  readonly unit: Unit;
  readonly allocated: bigint;
  readonly overdraftLimit: bigint;
  readonly overagePolicy: OveragePolicy | null;
  readonly rolloverPolicy: RolloverPolicy;
  readonly periodStartMs: number | null;
  readonly periodEndMs: number | null;
  readonly metadata: PlainJson;
}

/** Changes what is given of a budget. */
export interface UpdateBudgetCommand extends CommandBase {
  readonly verb: 'update-budget';
  readonly accountId: AccountId;
  readonly overdraftLimit?: bigint;
  readonly overagePolicy?: OveragePolicy;
  readonly metadata?: PlainJson;
}

/** Freezes an active budget, or makes a frozen one active again. */
export interface FreezeBudgetCommand extends CommandBase {
  readonly verb: 'freeze-budget' | 'unfreeze-budget';
  readonly accountId: AccountId;
  readonly reason?: string;
}

/** Closes a budget for ever. */
export interface CloseBudgetCommand extends CommandBase {
  readonly verb: 'close-budget';
  readonly accountId: AccountId;
  readonly reason?: string;
}

/** Brings the stored row of a budget up to date: the period that it is in, and what lists sort it by. */
export interface RefreshBudgetCommand extends CommandBase {
  readonly verb: 'refresh-budget';
  readonly accountId: AccountId;
}

/**
 * Funds every budget of `accountIds` alike, those that match what the caller looked for, in that order. `matched` is how many there
 * were; `expected` how many the caller thinks there are, null where they did not say; `unit` and `spentUnit` are those of the amounts,
 * null where they have the budget's. `declared` is a budget whose size something else has the last word on.
 */
export interface FundBudgetsCommand extends CommandBase {
  readonly verb: 'fund-budgets';
  readonly accountIds: readonly AccountId[];
  readonly matched: number;
  readonly expected: number | null;
  readonly operation: FundOperation;
  readonly unit: Unit | null;
  readonly spentUnit: Unit | null;
  readonly declared: AccountId | null;
  readonly amount: bigint;
  readonly spent?: bigint;
  readonly reason?: string;
  readonly idempotency: CommandIdempotency;
}

/** Every command of budgets beside funding a single one, which any account can be. */
export type BudgetCommand =
  | CreateBudgetCommand
  | UpdateBudgetCommand
  | FreezeBudgetCommand
  | CloseBudgetCommand
  | RefreshBudgetCommand
  | FundBudgetsCommand;

import type { AccountId } from '../ledger/account.ts';
import type { CommandBase } from '../verb.ts';

/**
 * What the commands of a close cascade have in common. Each brings one thing of a closed tenant to its end; `auditId` is the id of the
 * audit row, which is written only where something changed.
 */
interface CloseStepCommand extends CommandBase {
  readonly auditId: string;
}

/** Returns what a reservation of a Cycles client holds. */
export interface CascadeReservationCommand extends CloseStepCommand {
  readonly verb: 'cascade-reservation';
  readonly reservationId: string;
}

/** Closes a budget. */
export interface CascadeBudgetCommand extends CloseStepCommand {
  readonly verb: 'cascade-budget';
  readonly accountId: AccountId;
}

/** Disables a webhook. */
export interface CascadeWebhookCommand extends CloseStepCommand {
  readonly verb: 'cascade-webhook';
  readonly webhookId: string;
}

/** Revokes a key of any kind. */
export interface CascadeKeyCommand extends CloseStepCommand {
  readonly verb: 'cascade-key';
  readonly keyId: string;
}

/** Takes the mark away: nothing of the tenant is left to bring to an end. */
export interface FinishCascadeCommand extends CommandBase {
  readonly verb: 'finish-cascade';
}

/** Every command of a close cascade. */
export type CascadeCommand =
  | CascadeReservationCommand
  | CascadeBudgetCommand
  | CascadeWebhookCommand
  | CascadeKeyCommand
  | FinishCascadeCommand;

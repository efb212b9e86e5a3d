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
export interface CloseReservationCommand extends CloseStepCommand {
  readonly verb: 'close-reservation';
  readonly reservationId: string;
}

/** Closes a budget. */
export interface CloseBudgetCommand extends CloseStepCommand {
  readonly verb: 'close-budget';
  readonly accountId: AccountId;
}

/** Disables a webhook. */
export interface CloseWebhookCommand extends CloseStepCommand {
  readonly verb: 'close-webhook';
  readonly webhookId: string;
}

/** Revokes a key of any kind. */
export interface CloseKeyCommand extends CloseStepCommand {
  readonly verb: 'close-key';
  readonly keyId: string;
}

/** Takes the mark away: nothing of the tenant is left to bring to an end. */
export interface FinishCloseCommand extends CommandBase {
  readonly verb: 'finish-close';
}

/** Every command of a close cascade. */
export type CloseCommand = CloseReservationCommand | CloseBudgetCommand | CloseWebhookCommand | CloseKeyCommand | FinishCloseCommand;

import type { CommandOrigin } from '../command-origin.ts';
import type { PlainJson } from '../json/plain-json.ts';
import type { CommandBase } from '../verb.ts';

/** Something to be told that no change of a row goes with. The event's tenant is its command's. */
export interface Telling {
  readonly type: string;
  readonly data: PlainJson;
  readonly scope?: string;
  readonly origin?: CommandOrigin;
  readonly metadata?: PlainJson;
}

/** Tells what happened, in order. */
export interface TellEventsCommand extends CommandBase {
  readonly verb: 'tell-events';
  readonly tellings: readonly Telling[];
}

/**
 * Says that something which lasts, named by `alert`, goes on (`telling`) or is over (null). It counts as over by itself `keepMs` after
 * it was last said to go on.
 */
export interface SetAlertCommand extends CommandBase {
  readonly verb: 'set-alert';
  readonly alert: string;
  readonly telling: Telling | null;
  readonly keepMs: number;
}

/** Tells that a key's time is over. */
export interface TellKeyExpiryCommand extends CommandBase {
  readonly verb: 'tell-key-expiry';
  readonly keyId: string;
}

/** Sets the shares of budgets at which a tenant's subscriptions want to be told, beside the usual ones; each 0 to 1, ascending. */
export interface WatchSharesCommand extends CommandBase {
  readonly verb: 'watch-shares';
  readonly shares: readonly number[];
}

/** Every command about events. */
export type EventCommand = TellEventsCommand | SetAlertCommand | TellKeyExpiryCommand | WatchSharesCommand;

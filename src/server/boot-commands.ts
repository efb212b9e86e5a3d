import type { CommandAudit } from '../core/verb.ts';
import type { Command } from '../core/verbs.ts';
import type { Outcome, Rejection, RejectionCode } from '../core/rejection.ts';
import type { Ids } from '../ports/ids.ts';
import type { LedgerStore } from '../ports/ledger-store.ts';
import { ConfigError } from './config-error.ts';

/** Sends the commands of a start to the store, before there is a writer or a listener. */
export interface BootCommands {
  /** What every command carries: an id of its own. */
  readonly nextId: () => string;
  /** The audit row of a command of a start: its actor is the system, its request is the start. */
  audit(operation: string, resourceKind: string, resourceId: string): CommandAudit;
  /**
   * Executes `commands` in one transaction. A refusal that is not in `expected` stops the start with its message; `what` says in
   * words what was being done.
   */
  run(what: string, commands: readonly Command[], expected?: readonly RejectionCode[]): Promise<readonly Outcome<unknown>[]>;
}

/** Makes the commands of the start `startId`. */
export function makeBootCommands(options: { store: LedgerStore; ids: Ids; startId: string }): BootCommands {
  const { store, ids, startId } = options;
  return {
    nextId: () => ids.next('cmd'),
    audit: (operation, resourceKind, resourceId) => ({
      id: ids.next('audit'),
      operation,
      actorKind: 'system',
      actorId: 'start',
      resourceKind,
      resourceId,
      requestId: startId,
    }),
    run: async (what, commands, expected = []) => {
      if (commands.length === 0) return [];
      const { outcomes } = await store.execute(ids.next('batch'), commands, 0);
      for (const outcome of outcomes) {
        if (!outcome.ok && !expected.includes(outcome.rejection.code)) throw refusedStart(what, outcome.rejection);
      }
      return outcomes;
    },
  };
}

function refusedStart(what: string, rejection: Rejection): ConfigError {
  const reason = rejection.message.replace(/[.\s]+$/, '');
  return new ConfigError(`${what} was refused (${rejection.code}): ${reason.charAt(0).toLowerCase()}${reason.slice(1)}.`);
}

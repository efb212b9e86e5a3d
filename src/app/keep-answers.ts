import type { Command } from '../core/verbs.ts';
import type { LedgerWriter } from './ledger-writer.ts';

/**
 * The writer `writer`, remembering the answer to every idempotency key for `keepMs` milliseconds, whatever the command says: how long
 * answers are kept is one decision of the operator, taken in the retention table, and no use case has to know it.
 */
export const keepAnswersFor = (writer: LedgerWriter, keepMs: number): LedgerWriter => ({
  execute: (command) => writer.execute(withKeep(command, keepMs)),
  write: (command) => writer.write(withKeep(command, keepMs)),
  barrier: (tenantId) => writer.barrier(tenantId),
  get pending() {
    return writer.pending;
  },
  close: () => writer.close(),
});

function withKeep<C extends Command>(command: C, keepMs: number): C {
  if (!('idempotency' in command) || command.idempotency === undefined) return command;
  return { ...command, idempotency: { ...command.idempotency, keepMs } };
}

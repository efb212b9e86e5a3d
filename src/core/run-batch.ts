import { decisionOf, type Command } from './verbs.ts';
import type { Outcome } from './rejection.ts';
import type { WorkingSet } from './working-set.ts';

/**
 * Decides `commands` one after another over `rows`, each seeing what those before it did, and returns their outcomes in order.
 *
 * All rows that the commands name must be loaded. A refused command changes nothing. A management command leaves an audit row
 * either way. Throws what a decision throws (an invariant violation), after which `rows` must be thrown away.
 */
export function runBatch(rows: WorkingSet, commands: readonly Command[], nowMs: number): Outcome<unknown>[] {
  return commands.map((command) => {
    const { outcome, effects } = decisionOf(command)(rows, command, nowMs);
    for (const effect of effects) rows.applyEffect(effect);
    if (command.audit !== undefined) {
      const { audit } = command;
      rows.applyEffect({
        type: 'audit',
        entry: {
          ...audit,
          tenantId: command.tenantId,
          atMs: nowMs,
          code: outcome.ok ? null : outcome.rejection.code,
          metadata: audit.metadata ?? {},
        },
      });
    }
    return outcome;
  });
}

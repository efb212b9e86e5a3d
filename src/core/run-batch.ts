import { decisionOf, type Command } from './verbs.ts';
import type { Outcome } from './rejection.ts';
import { sharesBefore, thresholdEvents } from './ledger/thresholds.ts';
import type { WorkingSet } from './working-set.ts';

/**
 * Decides `commands` one after another over `rows`, each seeing what those before it did, and returns their outcomes in order.
 *
 * All rows that the commands name must be loaded. A refused command changes nothing. A command that makes accounts pass thresholds
 * leaves the events that tell of it. A management command leaves an audit row either way. Throws what a decision throws (an invariant violation), after which `rows` must be thrown away.
 */
export function runBatch(rows: WorkingSet, commands: readonly Command[], nowMs: number): Outcome<unknown>[] {
  return commands.map((command) => {
    const { outcome, effects } = decisionOf(command)(rows, command, nowMs);
    const before = sharesBefore(rows, effects);
    for (const effect of effects) rows.applyEffect(effect);
    if (before !== null) for (const event of thresholdEvents(rows, before, { command, nowMs })) rows.applyEffect({ type: 'event', event });
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

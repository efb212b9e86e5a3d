import { rollOverEffects } from './budgets/roll-over.ts';
import { decisionOf, type Command } from './verbs.ts';
import type { PlainJson } from './json/plain-json.ts';
import type { Outcome } from './rejection.ts';
import { sharesBefore, thresholdEvents } from './ledger/thresholds.ts';
import type { WorkingSet } from './working-set.ts';

/**
 * Decides `commands` one after another over `rows`, each seeing what those before it did, and returns their outcomes in order.
 *
 * All rows that the commands name must be loaded. Before the first decision every loaded budget whose period has ended is taken into its
 * present one, so that none of them sees what remained of the old. A refused command changes nothing. A command that makes accounts pass thresholds
 * leaves the events that tell of it. A management command leaves an audit row either way, but for the repeat of one that left its own. Throws what a decision throws (an invariant violation), after which `rows` must be thrown away.
 */
export function runBatch(rows: WorkingSet, commands: readonly Command[], nowMs: number): Outcome<unknown>[] {
  rollOver(rows, nowMs);
  return commands.map((command) => {
    const { outcome, effects, isReplay, auditMetadata } = decisionOf(command)(rows, command, nowMs);
    const before = sharesBefore(rows, effects);
    for (const effect of effects) rows.applyEffect(effect);
    if (before !== null) for (const event of thresholdEvents(rows, before, { command, nowMs })) rows.applyEffect({ type: 'event', event });
    if (command.audit !== undefined && isReplay !== true) {
      const { audit } = command;
      rows.applyEffect({
        type: 'audit',
        entry: {
          ...audit,
          tenantId: command.tenantId,
          atMs: nowMs,
          code: outcome.ok ? null : outcome.rejection.code,
          metadata: withMetadata(audit.metadata, auditMetadata),
        },
      });
    }
    return outcome;
  });
}

function withMetadata(given: PlainJson | undefined, found: { readonly [name: string]: PlainJson } | undefined): PlainJson {
  if (found === undefined) return given ?? {};
  // What commands give is an object; the type of values alone does not say so.
  return Object.assign({}, given, found) as PlainJson;
}

/** A batch has one moment, and every account that a command of it may look at is loaded: so once, before all, is for all of them. */
function rollOver(rows: WorkingSet, nowMs: number): void {
  for (const account of rows.periodicBudgets()) for (const effect of rollOverEffects(account, nowMs)) rows.applyEffect(effect);
}

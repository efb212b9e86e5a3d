import { auditEntryOf } from './audit/audit-entry.ts';
import { ledgerIdOf } from './budgets/ledger-id.ts';
import { rollOverEffects } from './budgets/roll-over.ts';
import { decisionOf, type Command } from './verbs.ts';
import type { Outcome } from './rejection.ts';
import type { Effect } from './effects.ts';
import type { Cause } from './events/state-event.ts';
import { stateBefore, stateEvents } from './events/state-events.ts';
import type { WorkingSet } from './working-set.ts';

/**
 * Decides `commands` one after another over `rows`, each seeing what those before it did, and returns their outcomes in order.
 *
 * All rows that the commands name must be loaded. Before the first decision every loaded budget whose period has ended is taken into its
 * present one, so that none of them sees what remained of the old. A refused command changes nothing. A command that takes accounts or
 * reservations from one state to another leaves the events that tell of it. A management command leaves an audit row either way, but for the repeat of one that left its own. Throws what a decision throws (an invariant violation), after which `rows` must be thrown away.
 */
export function runBatch(rows: WorkingSet, commands: readonly Command[], nowMs: number): Outcome<unknown>[] {
  rollOver(rows, nowMs);
  return commands.map((command) => {
    const decision = decisionOf(command)(rows, command, nowMs);
    apply(rows, decision.effects, { cause: command, nowMs });
    const entry = auditEntryOf(command, decision, nowMs);
    if (entry !== null) rows.applyEffect({ type: 'audit', entry });
    return decision.outcome;
  });
}

/** Folds effects in, and with them the events that follow from what they change. */
function apply(rows: WorkingSet, effects: readonly Effect[], at: { readonly cause: Cause; readonly nowMs: number }): void {
  if (effects.length === 0) return;
  const watched = rows.watchedShares(at.cause.tenantId);
  const before = stateBefore(rows, effects, watched);
  for (const effect of effects) rows.applyEffect(effect);
  if (before !== null)
    for (const event of stateEvents(rows, before, { ...at, watched, effects })) rows.applyEffect({ type: 'event', event });
}

/** A batch has one moment, and every account that a command of it may look at is loaded: so once, before all, is for all of them. */
function rollOver(rows: WorkingSet, nowMs: number): void {
  for (const account of rows.periodicBudgets()) {
    const effects = rollOverEffects(account, nowMs);
    const id = `period_${ledgerIdOf(account)}_${account.budget?.periodEndMs ?? ''}`;
    apply(rows, effects, { cause: { id, tenantId: account.tenantId }, nowMs });
  }
}

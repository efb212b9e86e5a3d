import { accepted, rejected } from '../rejection.ts';
import { refuse, type Verb } from '../verb.ts';
import { eventEffects } from './access-events.ts';
import type { RemoveRecordCommand } from './commands.ts';
import { aliasEffects, modelNameNeeds } from './model-names.ts';
import { notFound } from './rules.ts';

/** What people call each kind, and the name of its id where an event tells it. */
const NAMES = {
  upstream: { words: 'upstream', event: 'upstream' },
  model: { words: 'model', event: 'model' },
  price: { words: 'price', event: 'price' },
  'exchange-rate': { words: 'exchange rate', event: 'exchange_rate' },
  'usage-reporter': { words: 'usage reporter', event: 'usage_reporter' },
} as const;

/**
 * Forgets an upstream, a model, a usage reporter, or a price or exchange rate that does not apply yet. The value is its id. What a model
 * cost stays known: prices and rates are history. The aliases of a model are free again. A model that still lists a forgotten upstream passes it over. What a
 * reporter reported stays booked.
 *
 * Rejects, in this order: `not_found`, `conflict` (a price or rate that applies already).
 */
export const removeRecordVerb: Verb<RemoveRecordCommand, { readonly id: string }> = {
  needs: (command) => ({
    tenantLock: 'exclusive',
    records: [{ kind: command.kind, id: command.recordId }, ...(command.kind === 'model' ? modelNameNeeds([]) : [])],
  }),
  decide: (state, command, nowMs) => {
    const { kind, recordId } = command;
    if (state.record(kind, recordId) === undefined) return refuse(notFound(`${NAMES[kind].words} ${recordId}`));
    const dated = kind === 'price' || kind === 'exchange-rate' ? state.record(kind, recordId) : undefined;
    if (dated !== undefined && dated.appliesFromMs <= nowMs) {
      const message = `a ${NAMES[kind].words} that applies already cannot be removed; add a new one`;
      return refuse(rejected({ code: 'conflict', message, field: 'id' }));
    }
    const name = NAMES[kind].event;
    const events = eventEffects(command, nowMs, [{ type: `${name}.deleted`, data: { [`${name}_id`]: recordId } }]);
    const aliases = kind === 'model' ? aliasEffects(state, recordId, []) : [];
    return { outcome: accepted({ id: recordId }), effects: [{ type: 'record-removed', kind, id: recordId }, ...aliases, ...events] };
  },
};

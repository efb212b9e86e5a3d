import type { RecordPut } from '../effects.ts';
import { accepted } from '../rejection.ts';
import { refuse, type Verb } from '../verb.ts';
import type { ResealCommand } from './commands.ts';
import { notFound } from './rules.ts';
import { replaceSealed } from './sealed-values.ts';

/**
 * Puts the same secrets, sealed anew, in the place of the old texts of one record. A text that has changed since is left alone: whoever
 * wrote it sealed it with the newer key, or the next look finds it. The value is how many were replaced.
 *
 * Rejects: `not_found` (the record is gone).
 */
export const resealVerb: Verb<ResealCommand, number> = {
  needs: ({ kind, recordId }) => ({ tenantLock: 'exclusive', records: [{ kind, id: recordId }] }),
  decide: (state, { kind, recordId, values }) => {
    const before = state.record(kind, recordId);
    if (before === undefined) return refuse(notFound(`${kind} ${recordId}`));
    const { record, replaced } = replaceSealed(before, values);
    // `kind` and `record` belong together, which the compiler cannot follow through the union.
    const put = { type: 'record', kind, id: recordId, record } as RecordPut;
    return { outcome: accepted(replaced), effects: replaced === 0 ? [] : [put] };
  },
};

import type { AuditEntry } from '../effects.ts';
import { accepted } from '../rejection.ts';
import type { CommandBase, Verb } from '../verb.ts';

/** Leaves rows of a tenant for what was refused before any command came of it. The moment of each is the batch's. */
export interface NoteRefusalsCommand extends CommandBase {
  readonly verb: 'note-refusals';
  readonly entries: readonly Omit<AuditEntry, 'tenantId' | 'atMs'>[];
}

/** Every command about the trail itself. */
export type AuditCommand = NoteRefusalsCommand;

/** Never refuses. */
const noteRefusalsVerb: Verb<NoteRefusalsCommand, null> = {
  needs: () => ({ tenantLock: 'shared' }),
  decide: (_state, { tenantId, entries }, nowMs) => ({
    outcome: accepted(null),
    effects: entries.map((entry) => ({ type: 'audit', entry: { ...entry, tenantId, atMs: nowMs } })),
  }),
};

/** The decisions about the trail itself, by verb. */
export const AUDIT_VERBS = { 'note-refusals': noteRefusalsVerb } as const;

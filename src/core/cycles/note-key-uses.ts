import type { KeyUse } from '../effects.ts';
import { accepted } from '../rejection.ts';
import type { CommandBase, Verb } from '../verb.ts';

/** Writes down when tenants' keys were last used: many at once, for nobody waits for it. Moments in milliseconds. */
export interface NoteKeyUsesCommand extends CommandBase {
  readonly verb: 'note-key-uses';
  readonly uses: readonly KeyUse[];
}

/** The value is how many were noted. A later moment that is known already stays, which the store sees to. Never rejects. */
const noteKeyUsesVerb: Verb<NoteKeyUsesCommand, { readonly noted: number }> = {
  needs: () => ({ tenantLock: 'shared' }),
  decide: (_state, { uses }) => ({
    outcome: accepted({ noted: uses.length }),
    effects: uses.map((use) => ({ type: 'key-use', use })),
  }),
};

/** The decision by its verb. */
export const KEY_USE_VERBS = { 'note-key-uses': noteKeyUsesVerb } as const;

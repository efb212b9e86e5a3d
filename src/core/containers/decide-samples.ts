import { accepted } from '../rejection.ts';
import type { Verb } from '../verb.ts';
import type { NoteContainerSamplesCommand } from './commands.ts';
import { bucketsOf } from './container-samples.ts';

/** Notes samples of containers: many at once, for nobody waits for it. The value is how many were noted. Never rejects. */
export const noteContainerSamplesVerb: Verb<NoteContainerSamplesCommand, { readonly noted: number }> = {
  needs: () => ({ tenantLock: 'shared' }),
  decide: (_state, { samples }) => ({
    outcome: accepted({ noted: samples.length }),
    effects: samples.flatMap(bucketsOf).map((bucket) => ({ type: 'container-sample', bucket })),
  }),
};

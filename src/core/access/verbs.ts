import type { AccessCommand } from './commands.ts';
import type { Verb } from '../verb.ts';

/** The decisions that change records, by verb. */
export const ACCESS_VERBS: { readonly [K in AccessCommand['verb']]: Verb<Extract<AccessCommand, { verb: K }>, unknown> } = {} as never;

import { accepted } from '../rejection.ts';
import type { CommandBase, Verb } from '../verb.ts';
import { keepEffects, type MetObject } from './upstream-object.ts';

/** Remembers which upstream keeps what. An id that is known already is remembered anew: the last to say so holds it. */
export interface KeepObjectsCommand extends CommandBase {
  readonly verb: 'keep-upstream-objects';
  readonly objects: readonly MetObject[];
}

/** Forgets an object, which its upstream has deleted. */
export interface ForgetObjectCommand extends CommandBase {
  readonly verb: 'forget-upstream-object';
  readonly objectId: string;
}

/** Every command about objects that upstreams keep. */
export type UpstreamObjectCommand = KeepObjectsCommand | ForgetObjectCommand;

const keepObjectsVerb: Verb<KeepObjectsCommand, null> = {
  needs: () => ({ tenantLock: 'shared' }),
  decide: (_state, { tenantId, objects }, nowMs) => ({ outcome: accepted(null), effects: keepEffects(tenantId, objects, nowMs) }),
};

const forgetObjectVerb: Verb<ForgetObjectCommand, null> = {
  needs: () => ({ tenantLock: 'shared' }),
  decide: (_state, { tenantId, objectId }) => ({
    outcome: accepted(null),
    effects: [{ type: 'upstream-object', tenantId, id: objectId, object: null }],
  }),
};

/** The decisions about objects that upstreams keep, by verb. None of them rejects anything: what an upstream did has happened. */
export const UPSTREAM_OBJECT_VERBS = {
  'keep-upstream-objects': keepObjectsVerb,
  'forget-upstream-object': forgetObjectVerb,
} as const satisfies { readonly [K in UpstreamObjectCommand['verb']]: Verb<Extract<UpstreamObjectCommand, { verb: K }>, unknown> };

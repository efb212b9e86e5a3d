import { readSpeeds, writeSpeeds } from '../routing/speed.ts';
import { accepted } from '../rejection.ts';
import type { Verb } from '../verb.ts';
import type { KeepSpeedsCommand } from './commands.ts';

/** The setting under which the speeds of upstreams are kept. */
export const SPEEDS_SETTING = 'upstream_speeds';

/**
 * Writes down how fast upstreams have been, beside what other nodes wrote: of each the newer measure stands, and what is too old goes.
 * Never refuses.
 */
export const keepSpeedsVerb: Verb<KeepSpeedsCommand, null> = {
  needs: () => ({ tenantLock: 'exclusive', records: [{ kind: 'setting', id: SPEEDS_SETTING }] }),
  decide: (state, { speeds }, nowMs) => {
    const kept = readSpeeds(state.record('setting', SPEEDS_SETTING)?.value);
    for (const [name, speed] of readSpeeds(speeds)) if ((kept.get(name)?.atMs ?? -Infinity) <= speed.atMs) kept.set(name, speed);
    const record = { id: SPEEDS_SETTING, value: writeSpeeds(kept, nowMs) };
    return { outcome: accepted(null), effects: [{ type: 'record', kind: 'setting', id: SPEEDS_SETTING, record }] };
  },
};

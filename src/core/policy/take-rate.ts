import { accepted, rejected } from '../rejection.ts';
import { refuse, type Verb } from '../verb.ts';
import type { TakeRateCommand } from './commands.ts';
import { countMinute, minuteRef, refuseMinute, standingsAfter, standingsOf } from './minute-limits.ts';
import type { RateStanding } from './rate-window.ts';

/** How the limits stand after what was taken, in their order. */
export interface TakeRateAnswer {
  readonly rates: readonly RateStanding[];
}

/** Takes a call's share of what an upstream may take in the present minute, of all its limits or of none. Rejects: `rate_limited`. */
export const takeRateVerb: Verb<TakeRateCommand, TakeRateAnswer> = {
  needs: ({ tenantId, limits }) => ({ tenantLock: 'shared', rates: limits.map((limit) => minuteRef(tenantId, limit)) }),
  decide: (state, command, nowMs) => {
    const tooMany = refuseMinute(state, command, nowMs);
    if (tooMany !== null) return refuse(rejected(tooMany));
    const rates = standingsAfter(standingsOf(state, command, nowMs), command);
    return { outcome: accepted({ rates }), effects: countMinute(state, command, nowMs) };
  },
};

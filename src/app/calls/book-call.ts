import { exceedsHold } from '../../core/calls/call-hold.ts';
import { settlementOf } from '../../core/calls/settlement.ts';
import type { Telling } from '../../core/events/commands.ts';
import type { SettleCallCommand } from '../../core/ledger/commands.ts';
import { usageHeaderValue } from '../../core/metering/usage-header.ts';
import type { Log } from '../../ports/log.ts';
import type { CallCounters } from './call-counters.ts';
import type { CallLimits } from './call-types.ts';
import type { CountedUsage } from './count-usage.ts';
import type { ActiveCall } from './keep-calls.ts';
import type { CallSettler, Settled } from './settle-calls.ts';

/** Ends a call's hold in the ledger, once. Throws where that is our own fault. */
export interface CallBooks {
  /** Books what a call used, and tells `tellings` with it; resolves to the value of its usage header, or to null where that is not durable (yet) or another node booked something else. */
  book(call: ActiveCall, counted: CountedUsage, tellings?: readonly Telling[]): Promise<{ readonly usageHeader: string } | null>;
  /** Returns the hold of a call that no upstream worked for. */
  release(call: ActiveCall): Promise<void>;
}

/** The command that returns a call's hold and charges nothing. */
export const releaseCommand = (call: { readonly id: string; readonly tenantId: string }): SettleCallCommand => ({
  verb: 'settle-call',
  id: `${call.id}.settle`,
  tenantId: call.tenantId,
  reservationId: call.id,
  actuals: null,
  usage: null,
});

/** What is to be corrected where a call's tokens were counted, now that it used so many: nothing at an upstream that did not answer. */
function tokenChanges({ counted, candidate }: ActiveCall, used: number): Pick<SettleCallCommand, 'rates'> {
  if (counted.length === 0) return {};
  const usedAt = (place: number | null): number => (place === null || place === candidate ? used : 0);
  return { rates: counted.map(({ ref, minute, tokens, candidate: place }) => ({ ref, minute, change: usedAt(place) - tokens })) };
}

/** Makes {@link CallBooks}; counts estimates, calls settled after their hold had run out, and calls that used more than they held. */
export function makeCallBooks(deps: {
  readonly settler: Pick<CallSettler, 'settle'>;
  /** A clock that never goes back, for measuring lengths only. */
  readonly elapsedMs: () => number;
  readonly limits: CallLimits;
  readonly counters: CallCounters;
  readonly log: Log;
}): CallBooks {
  const { settler, elapsedMs, limits, counters, log } = deps;
  const settle = (call: ActiveCall, command: SettleCallCommand): Promise<Settled> => {
    const settling = settler.settle(command);
    call.settling = settling;
    return settling;
  };
  return {
    book: async (call, counted, tellings = []) => {
      const { actuals, usage, costNanoUsd } = settlementOf(
        { reservationId: call.id, tenantId: call.tenantId, context: call.context },
        { ...counted, candidate: call.candidate, interrupted: false },
      );
      if (counted.estimated) counters.estimates += 1;
      if (elapsedMs() > call.expiresAtMs + limits.holdGraceMs) counters.lateSettles += 1;
      if (exceedsHold(call.legs, call.heldOutput, actuals)) {
        // Nobody was told to stay below it: what is above is booked, and refuses the next call.
        if (call.softOutput) counters.softOverruns += 1;
        else {
          counters.holdViolations += 1;
          log.error({ callId: call.id, model: call.context.model, tokens: Number(actuals.tokens) }, 'a call used more than its hold');
        }
      }
      const { objects } = counted;
      const settled = await settle(call, {
        ...releaseCommand(call),
        actuals,
        usage,
        ...(objects === undefined ? {} : { objects }),
        ...(tellings.length === 0 ? {} : { tellings }),
        ...tokenChanges(call, Number(actuals.tokens)),
      });
      return settled === 'durable' ? { usageHeader: usageHeaderValue(counted.usage, { model: usage.model, costNanoUsd }) } : null;
    },
    release: async (call) => {
      await settle(call, { ...releaseCommand(call), ...tokenChanges(call, 0) });
    },
  };
}

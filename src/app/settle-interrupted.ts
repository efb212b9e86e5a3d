import { readCallContext, readCheckpoint, type CallContext } from '../core/calls/call-context.ts';
import { settlementOf } from '../core/calls/settlement.ts';
import { Fault } from '../core/fault.ts';
import { estimateUsage } from '../core/metering/token-usage.ts';
import type { SettleCallCommand } from '../core/ledger/commands.ts';
import type { Reservation } from '../core/ledger/reservation.ts';
import type { Log } from '../ports/log.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { CommandWriter } from './calls/call-types.ts';

/** Calls settled in one round; a start with more of them makes several. */
const ROUND = 500;

/** What one sweep did: calls settled with a charge, and holds of calls that nobody can price, returned. */
export interface InterruptedSettled {
  readonly settled: number;
  readonly released: number;
}

/**
 * Settles the calls whose owner is not among `liveOwnerIds`: the process that relayed them ended before they did.
 *
 * Each is charged its prompt by our count and the output of its last checkpoint, at the prices pinned when it was held, and recorded as
 * interrupted and estimated. A call that was held but not yet sent is settled like any other: whether its first bytes had left the
 * machine when the process died is not known, and the upstream may have worked for it. A reservation whose context cannot be read
 * is returned without a charge, and logged. One that our own code fails on is logged and left. A call that is settled already, by whoever was faster, is left alone.
 *
 * Throws a `Fault` where the store does; what was settled until then stays settled. Source: architecture section 8.
 */
export function makeSettleInterrupted(deps: {
  readonly writer: CommandWriter;
  readonly store: Pick<RecordStore, 'unsettledCalls'>;
  readonly log: Log;
}): (query: { readonly liveOwnerIds: readonly string[] }) => Promise<InterruptedSettled> {
  const { writer, store, log } = deps;
  /** One call that our own code fails on must not keep the others from being settled, nor the program from starting. */
  const tryTo = async <T>(act: () => Promise<T>, callId: string): Promise<T | null> => {
    try {
      return await act();
    } catch (err) {
      if (err instanceof Fault) throw err;
      log.error({ err, callId }, 'an interrupted call was not settled by a fault of ours; its hold ends by itself');
      return null;
    }
  };
  return async ({ liveOwnerIds }) => {
    let settled = 0;
    let released = 0;
    for (;;) {
      const calls = await store.unsettledCalls({ liveOwnerIds, limit: ROUND });
      const booked = await Promise.all(
        calls.map(async (call) => {
          const context = readCallContext(call.context);
          if (context === null) log.error({ callId: call.id }, 'an interrupted call cannot be read; its hold is returned');
          const command = context === null ? releaseCommand(call) : interruptedCommand(call, context);
          const outcome = await tryTo(() => writer.execute(command), call.id);
          if (outcome === null) return false;
          if (!outcome.ok) log.error({ callId: call.id, code: outcome.rejection.code }, 'an interrupted call was not settled');
          else if (!outcome.value.booked) return true;
          else if (context === null) released += 1;
          else settled += 1;
          return outcome.ok;
        }),
      );
      // A round that changed nothing would be read again for ever.
      if (calls.length < ROUND || !booked.includes(true)) return { settled, released };
    }
  };
}

function interruptedCommand(call: Reservation, context: CallContext): SettleCallCommand {
  const checkpoint = readCheckpoint(call.checkpoint);
  const usage = estimateUsage(
    { promptTokens: context.promptTokens, completionTokens: Math.max(checkpoint.outputTokens, context.unseenOutput ?? 0) },
    null,
  );
  const media = context.media === undefined ? {} : { media: context.media };
  const result = { candidate: checkpoint.candidate, usage, estimated: true, interrupted: true, ...media };
  const settlement = settlementOf({ reservationId: call.id, tenantId: call.tenantId, context }, result);
  return { ...releaseCommand(call), actuals: settlement.actuals, usage: settlement.usage };
}

const releaseCommand = (call: Reservation): SettleCallCommand => ({
  verb: 'settle-call',
  id: `${call.id}.interrupted`,
  tenantId: call.tenantId,
  reservationId: call.id,
  actuals: null,
  usage: null,
});

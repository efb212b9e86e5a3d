import { Fault } from '../../core/fault.ts';
import { InvariantViolation } from '../../core/invariant.ts';
import type { SettleCallCommand } from '../../core/ledger/commands.ts';
import type { Log } from '../../ports/log.ts';
import type { CallCounters } from './call-counters.ts';
import type { CommandWriter } from './call-types.ts';

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 5000;
/** More settlements than this do not wait at once: a store that is gone for long must not fill the memory. */
const MAX_WAITING = 20_000;

/**
 * What became of a settlement. `durable`: it happened. `waiting`: it was handed to the background. `elsewhere`: the call had been settled
 * before, by a node that took this one for dead; what stands is that one's estimate.
 */
export type Settled = 'durable' | 'waiting' | 'elsewhere';

/** Settles calls; what the store does not take at once is tried again behind the caller's back. */
export interface CallSettler {
  /** Tries once, and in the background from then on. Throws where the hold is unknown. */
  settle(command: SettleCallCommand): Promise<Settled>;
  /** Tries in the background from the start: returns a hold of which nobody knows whether it was made. */
  settleLater(command: SettleCallCommand): void;
  /** Resolves when nothing waits in the background. */
  idle(): Promise<void>;
  /** Gives up everything that waits: the next start settles it. */
  close(): void;
}

/**
 * Makes a {@link CallSettler}. A settlement that fails by a `Fault` is tried again for as long as the process lives: nobody else knows
 * what the call used. Given up and counted are those that wait at the end of the process, one that fails by a fault of ours, and
 * those beyond the first twenty thousand; once this process has ended, their calls are settled as interrupted.
 */
export function makeCallSettler(deps: { readonly writer: CommandWriter; readonly counters: CallCounters; readonly log: Log }): CallSettler {
  const { writer, counters, log } = deps;
  const waiting = new Map<string, Promise<void>>();
  const sleeping = new Map<() => void, NodeJS.Timeout>();
  let isClosed = false;

  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const wake = (): void => {
        sleeping.delete(wake);
        resolve();
      };
      sleeping.set(wake, setTimeout(wake, ms));
    });

  const giveUp = (command: SettleCallCommand, error: unknown): void => {
    counters.settlesGivenUp += 1;
    log.error({ err: error, callId: command.reservationId }, 'a call could not be settled; a later start settles it as interrupted');
  };

  const countElsewhere = (command: SettleCallCommand): void => {
    counters.settledElsewhere += 1;
    log.error({ callId: command.reservationId }, 'a call was settled by another node, which took this one for dead; its estimate stands');
  };

  const retry = async (command: SettleCallCommand): Promise<void> => {
    let waitMs = FIRST_RETRY_MS;
    for (;;) {
      await sleep(waitMs);
      if (isClosed) return giveUp(command, new Error('the process ends'));
      try {
        // A hold that was never made has nothing to settle: that refusal is a success too.
        const outcome = await writer.execute(command);
        // An attempt before this one may have happened although its answer was lost: then the charge is ours.
        if (outcome.ok && !outcome.value.booked && !outcome.value.agrees) countElsewhere(command);
        return;
      } catch (error) {
        if (!(error instanceof Fault)) return giveUp(command, error);
        waitMs = Math.min(waitMs * 2, MAX_RETRY_MS);
      }
    }
  };

  const settleLater = (command: SettleCallCommand): void => {
    if (waiting.size >= MAX_WAITING) return giveUp(command, new Error('too many settlements wait'));
    const done = retry(command).finally(() => waiting.delete(command.reservationId));
    waiting.set(command.reservationId, done);
  };

  return {
    settleLater,
    settle: async (command) => {
      try {
        const outcome = await writer.execute(command);
        if (!outcome.ok) throw new InvariantViolation(`call ${command.reservationId} could not be settled: ${outcome.rejection.message}`);
        if (outcome.value.booked) return 'durable';
        // No attempt of ours came before: however much the charge agrees, what was recorded is not this call's usage.
        countElsewhere(command);
        return 'elsewhere';
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        counters.settleRetries += 1;
        log.warn({ err: error, callId: command.reservationId }, 'a settlement failed and is tried again');
        settleLater(command);
        return 'waiting';
      }
    },
    idle: async () => {
      while (waiting.size > 0) await Promise.all(waiting.values());
    },
    close: () => {
      isClosed = true;
      for (const [wake, timer] of sleeping) {
        clearTimeout(timer);
        wake();
      }
    },
  };
}

import { Fault } from '../../core/fault.ts';
import { InvariantViolation } from '../../core/invariant.ts';
import type { SettleCallCommand } from '../../core/ledger/commands.ts';
import type { Log } from '../../ports/log.ts';
import type { CallCounters } from './call-counters.ts';
import type { CommandWriter } from './call-types.ts';

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 5000;
/** With delays that double up to the longest one, about five minutes. */
const MAX_ATTEMPTS = 66;
/** More settlements than this do not wait at once: a store that is gone for long must not fill the memory. */
const MAX_WAITING = 20_000;

/** Settles calls; what the store does not take at once is tried again behind the caller's back. */
export interface CallSettler {
  /** Resolves to true when the settlement is durable, to false when it was handed to the background. Throws where the hold is unknown. */
  settle(command: SettleCallCommand): Promise<boolean>;
  /** Tries in the background from the start: returns a hold of which nobody knows whether it was made. */
  settleLater(command: SettleCallCommand): void;
  /** Resolves when nothing waits in the background. */
  idle(): Promise<void>;
  /** Gives up everything that waits: the next start settles it. */
  close(): void;
}

/**
 * Makes a {@link CallSettler}. A settlement that fails by a `Fault` is tried again for about five minutes and then given up and
 * counted: once this process has ended, the calls that it left unsettled are settled as interrupted.
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

  const retry = async (command: SettleCallCommand): Promise<void> => {
    let waitMs = FIRST_RETRY_MS;
    for (let attempt = 1; ; attempt++) {
      await sleep(waitMs);
      if (isClosed) return giveUp(command, new Error('the process ends'));
      try {
        // A hold that was never made has nothing to settle: that refusal is a success too.
        await writer.execute(command);
        return;
      } catch (error) {
        if (attempt >= MAX_ATTEMPTS || !(error instanceof Fault)) return giveUp(command, error);
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
        return true;
      } catch (error) {
        if (!(error instanceof Fault)) throw error;
        counters.settleRetries += 1;
        log.warn({ err: error, callId: command.reservationId }, 'a settlement failed and is tried again');
        settleLater(command);
        return false;
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

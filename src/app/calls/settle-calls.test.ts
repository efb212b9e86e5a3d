import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { Fault } from '../../core/fault.ts';
import { InvariantViolation } from '../../core/invariant.ts';
import type { SettleCallCommand } from '../../core/ledger/commands.ts';
import { accepted, rejected, type Outcome } from '../../core/rejection.ts';
import type { Log } from '../../ports/log.ts';
import { newCallCounters, type CallCounters } from './call-counters.ts';
import { makeCallSettler, type CallSettler } from './settle-calls.ts';

const command: SettleCallCommand = { verb: 'settle-call', id: 's1', tenantId: 'acme', reservationId: 'call_1', actuals: null, usage: null };
const fault = new Fault({ code: 'store_unavailable', message: 'gone', publicMessage: 'gone' });
const log: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

let counters: CallCounters;
let attempts: number;
/** What the store does at each attempt, from the first; the last one is repeated. */
let script: (Outcome<unknown> | Error)[];
let settler: CallSettler;

beforeEach(() => {
  vi.useFakeTimers();
  counters = newCallCounters();
  attempts = 0;
  script = [accepted({ booked: true })];
  settler = makeCallSettler({
    counters,
    log,
    writer: {
      execute: async () => {
        const step = script[Math.min(attempts, script.length - 1)] ?? new Error('no script');
        attempts += 1;
        if (step instanceof Error) throw step;
        return step;
      },
    } as never,
  });
});

afterEach(() => {
  settler.close();
  vi.useRealTimers();
});

describe('a settlement', () => {
  test('that the store takes is durable', async () => {
    expect(await settler.settle(command)).toBe(true);
    expect(attempts).toBe(1);
  });

  test('that the store does not take is tried again until it does', async () => {
    script = [fault, fault, fault, accepted({ booked: true })];
    expect(await settler.settle(command)).toBe(false);
    const idle = settler.idle();
    await vi.advanceTimersByTimeAsync(1000);
    await idle;
    expect(attempts).toBe(4);
    expect(counters).toMatchObject({ settleRetries: 1, settlesGivenUp: 0 });
  });

  test('is given up after some minutes, and counted', async () => {
    script = [fault];
    await settler.settle(command);
    await vi.advanceTimersByTimeAsync(4 * 60_000);
    expect(counters.settlesGivenUp).toBe(0);
    await vi.advanceTimersByTimeAsync(4 * 60_000);
    expect(counters.settlesGivenUp).toBe(1);
    await settler.idle();
  });

  test('that waits is given up at the end of the process', async () => {
    script = [fault];
    await settler.settle(command);
    settler.close();
    await settler.idle();
    expect(counters.settlesGivenUp).toBe(1);
  });

  test('of a hold that nobody knows is a fault of ours', async () => {
    script = [rejected({ code: 'reservation_not_found', message: 'no such reservation' })];
    await expect(settler.settle(command)).rejects.toThrow(InvariantViolation);
  });

  test('that fails by a fault of ours is not tried again', async () => {
    script = [new TypeError('a bug')];
    await expect(settler.settle(command)).rejects.toThrow(TypeError);
    await settler.idle();
    expect(attempts).toBe(1);
  });
});

test('a hold that was perhaps made is returned in the background, and one that was not made is no failure', async () => {
  script = [fault, rejected({ code: 'reservation_not_found', message: 'no such reservation' })];
  settler.settleLater(command);
  await vi.advanceTimersByTimeAsync(1000);
  await settler.idle();
  expect(attempts).toBe(2);
  expect(counters.settlesGivenUp).toBe(0);
});

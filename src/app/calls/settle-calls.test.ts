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
    expect(await settler.settle(command)).toBe('durable');
    expect(attempts).toBe(1);
  });

  test('that the store does not take is tried again until it does', async () => {
    script = [fault, fault, fault, accepted({ booked: true })];
    expect(await settler.settle(command)).toBe('waiting');
    const idle = settler.idle();
    await vi.advanceTimersByTimeAsync(1000);
    await idle;
    expect(attempts).toBe(4);
    expect(counters).toMatchObject({ settleRetries: 1, settlesGivenUp: 0 });
  });

  test('is not given up while the process lives, however long the store is gone', async () => {
    script = [...Array.from({ length: 5000 }, () => fault), accepted({ booked: true })];
    await settler.settle(command);
    await vi.advanceTimersByTimeAsync(6 * 3_600_000);
    expect(counters.settlesGivenUp).toBe(0);
    await vi.advanceTimersByTimeAsync(3_600_000);
    await settler.idle();
    expect(attempts).toBe(5001);
    expect(counters.settlesGivenUp).toBe(0);
  });

  test('of a call that another node has settled is none, even where that charged as much, and is reported', async () => {
    for (const agrees of [true, false]) {
      script = [accepted({ booked: false, agrees })];
      expect(await settler.settle(command)).toBe('elsewhere');
    }
    expect(counters.settledElsewhere).toBe(2);
  });

  test.each([
    ['is its own earlier attempt where the charge agrees', true, 0],
    ['is reported where another charged something else', false, 1],
  ])('that is tried again and finds the call settled %s', async (_what, agrees, settledElsewhere) => {
    script = [fault, accepted({ booked: false, agrees })];
    expect(await settler.settle(command)).toBe('waiting');
    await vi.advanceTimersByTimeAsync(1000);
    await settler.idle();
    expect(counters).toMatchObject({ settledElsewhere, settlesGivenUp: 0 });
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

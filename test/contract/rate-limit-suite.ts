import { afterEach, beforeEach, expect, test } from 'vitest';
import { minuteRef } from '../../src/core/policy/minute-limits.ts';
import type { MinuteLimit, RateStanding } from '../../src/core/policy/rate-window.ts';
import { SYSTEM_TENANT } from '../../src/core/records.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import type { Command } from '../../src/core/verbs.ts';
import { makeCommands, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const REQUESTS: MinuteLimit = { on: 'key', id: 'key_1', unit: 'requests', perMinute: 7 };
const TOKENS: MinuteLimit = { on: 'model', id: 'org/m:1', unit: 'tokens', perMinute: 1000 };
const UPSTREAM: MinuteLimit = { on: 'upstream', id: 'u1', unit: 'tokens', perMinute: 500 };
const MINUTE = Date.parse('2026-11-22T10:07:00Z') / 60_000;

/** Limits of requests and tokens a minute, of calls and of upstreams; the same on every store. */
export function describeRateLimits(makeStore: MakeStore): void {
  let clock: TestClock;
  let at: TestStore;
  let commands: CommandMaker;

  beforeEach(async () => {
    clock = makeTestClock();
    at = await makeStore({ clock });
    commands = makeCommands();
    await run([commands.createTenant('acme'), commands.createKey('acme', 'key_1')]);
  });
  afterEach(() => at.destroy());

  const run = async (batch: readonly Command[]): Promise<readonly Outcome<unknown>[]> =>
    (await at.store.execute(commands.id('batch'), batch, 0)).outcomes;
  const codes = (outcomes: readonly Outcome<unknown>[]): string[] =>
    outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.rejection.code));
  const standings = ([outcome]: readonly Outcome<unknown>[]): (readonly [string, number])[] => {
    const rates = outcome?.ok === true ? (outcome.value as { rates: readonly RateStanding[] }).rates : (outcome?.rejection.rates ?? []);
    return rates.map(({ on, unit, remaining }) => [`${on} ${unit}`, remaining]);
  };
  const hold = (tokens: number, limits: readonly MinuteLimit[] = [REQUESTS, TOKENS]) => ({
    ...commands.hold({ tokens: BigInt(tokens) }),
    rates: { limits, inputTokens: tokens },
  });
  const take = (tokens: number): Command => ({
    verb: 'take-rate',
    id: commands.id('cmd'),
    tenantId: SYSTEM_TENANT,
    limits: [UPSTREAM],
    tokens,
  });

  test('so many are admitted as a limit says, also of one batch, and what is refused leaves no trace', async () => {
    const outcomes = await run(Array.from({ length: 10 }, () => hold(10)));
    expect(codes(outcomes)).toEqual([...Array<string>(7).fill('ok'), ...Array<string>(3).fill('rate_limited')]);
    expect(standings(outcomes.slice(-1))).toEqual([
      ['key requests', 0],
      ['model tokens', 930],
    ]);
    expect(await at.raw('SELECT count(*) AS n FROM reservations').then(([row]) => Number(row?.['n']))).toBe(7);
    clock.set((MINUTE + 1) * 60_000 - 1);
    expect(codes(await run([hold(10)]))).toEqual(['rate_limited']);
    clock.set((MINUTE + 1) * 60_000);
    expect(codes(await run([hold(10)]))).toEqual(['ok']);
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });

  test('tokens are taken before, and become what was used while the minute lasts', async () => {
    const first = hold(600);
    expect(codes(await run([first, hold(401)]))).toEqual(['ok', 'rate_limited']);
    const change = { ref: minuteRef('acme', TOKENS), minute: MINUTE };
    const settle = {
      ...commands.settle(first, { promptTokens: 50, completionTokens: 50, microcents: 0n }),
      rates: [{ ...change, change: -500 }],
    };
    expect(codes(await run([settle]))).toEqual(['ok']);
    // Once only, however often it is asked for.
    expect(codes(await run([{ ...settle, id: commands.id('cmd') }]))).toEqual(['ok']);
    const second = hold(900);
    expect(standings(await run([second]))).toEqual([
      ['key requests', 5],
      ['model tokens', 0],
    ]);
    clock.set((MINUTE + 1) * 60_000);
    expect(codes(await run([hold(1000)]))).toEqual(['ok']);
    // What was held in a minute that is over changes nothing of this one.
    expect(codes(await run([{ ...commands.cancel(second), rates: [{ ...change, change: -900 }] }, hold(1)]))).toEqual([
      'ok',
      'rate_limited',
    ]);
  });

  test("an upstream's are counted for the whole server, and corrected with a call of any tenant", async () => {
    const call = hold(10, [REQUESTS]);
    expect(codes(await run([call, take(300), take(201), take(200), take(1)]))).toEqual(['ok', 'ok', 'rate_limited', 'ok', 'rate_limited']);
    const rates = [{ ref: minuteRef(SYSTEM_TENANT, UPSTREAM), minute: MINUTE, change: -100 }];
    expect(codes(await run([{ ...commands.cancel(call), rates }]))).toEqual(['ok']);
    expect(standings(await run([take(60)]))).toEqual([['upstream tokens', 40]]);
    const again = await at.reopen({ clock });
    at = again;
    expect(codes(await run([take(41), take(40)]))).toEqual(['rate_limited', 'ok']);
  });
}

import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeExpireReservations } from '../../src/jobs/expire-reservations.ts';
import { makeRuntime, type Runtime } from '../api/cycles-runtime/runtime-harness.ts';
import type { TestStore } from '../contract/test-store.ts';
import { makeManualClock, makeMemoryLog, type ManualClock } from '../support/fakes.ts';
import { TEST_START_MS } from '../support/test-app.ts';
import { Player } from './cycles-player.ts';
import { LAST_STEPS, lives, MAX_EXTENSIONS, type Life } from './cycles-steps.ts';
import { runsOf, seedOf } from './runs.ts';

/**
 * Plays random lives of tenants through the surfaces over a store, and holds every answer, every balance of nested budgets in several units
 * and the state of every reservation against the model after each step; at the end the store's own verification finds nothing.
 */
export function describeCyclesProperty(
  name: string,
  makeStore: (clock: ManualClock) => Promise<TestStore>,
  options: { readonly runs: number },
): void {
  describe(`random lives of tenants on ${name} come to what the documents say`, () => {
    let at: TestStore;
    let runtime: Runtime;
    beforeAll(async () => {
      const clock = makeManualClock(TEST_START_MS);
      at = await makeStore(clock);
      runtime = await makeRuntime({ store: at.store, clock });
    });
    afterAll(async () => {
      await runtime.close();
      await at.destroy();
    });

    test('after every step, and by the store’s own journal at the end', { timeout: 600_000 }, async () => {
      const seed = seedOf();
      const numRuns = runsOf(options.runs);
      console.log(`cycles property on ${name}: ${numRuns} runs, seed ${seed}`);
      const tally = new Map<string, number>();
      const log = makeMemoryLog();
      const { store, writer, ids } = runtime;
      const sweep = makeExpireReservations({ records: store, writer, ids, log, onQuarantined: () => undefined });
      let tenants = 0;
      const play = async (life: Life): Promise<void> => {
        const tenant = `life-${(tenants += 1)}`;
        const { defaultPolicy } = life;
        const terms = defaultPolicy === null ? {} : { default_commit_overage_policy: defaultPolicy };
        await runtime.makeTenant(tenant, { max_reservation_extensions: MAX_EXTENSIONS, ...terms });
        const key = await runtime.keyOf(tenant);
        const player = new Player({ runtime, tenant, key, tally, sweep }, life);
        for (const budget of [...life.first, ...life.budgets]) await player.play({ kind: 'make-budget', ...budget });
        for (const step of life.steps) await player.play(step);
        if (life.isClosed) for (const step of LAST_STEPS) await player.play(step);
        await player.compareHolds();
      };
      await fc.assert(fc.asyncProperty(lives, play), { seed, numRuns });

      expect((await at.store.verify()).discrepancies).toEqual([]);
      expect(log.lines).toEqual([]);
      // What never came up was not tested.
      for (const outcome of [
        'reserve ok',
        'reserve BUDGET_EXCEEDED',
        'commit ok',
        'event ok',
        'release ok',
        'extend ok',
        'repeat same',
        'fund ok',
      ])
        expect(tally.get(outcome) ?? 0, `${outcome} of ${JSON.stringify([...tally])}`).toBeGreaterThan(0);
    });
  });
}

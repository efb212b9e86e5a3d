import { afterAll, beforeAll, expect, test } from 'vitest';
import { seededRandom, seedOfRun } from '../support/seeded-random.ts';
import { makeServer } from '../support/server-process.ts';
import type { TestStore } from '../support/store-reader.ts';
import { bearer, makeHttpClient } from '../support/http-client.ts';
import { startCampaign, type Campaign } from './campaign.ts';
import { LOAD_POINTS, START_POINTS } from './kill-points.ts';

/** A few, to keep the way of killing at work; `npm run soak` kills hundreds of times. */
const RANDOM_KILLS = 10;
const LATEST_KILL_MS = 900;
const KILL_TIMEOUT_MS = 60_000;

/** Defines the tests of one store. `makeStore` gives a store that nobody has used. */
export function testCrashes(makeStore: () => Promise<TestStore>): void {
  const random = seededRandom(seedOfRun());
  let campaign: Campaign | undefined;

  const current = (): Campaign => {
    if (campaign === undefined) throw new Error('the campaign did not start');
    return campaign;
  };

  beforeAll(async () => {
    console.log(`crash seed ${random.seed}`);
    campaign = await startCampaign({ store: await makeStore(), random });
  });

  afterAll(() => campaign?.dispose());

  test.each(LOAD_POINTS)(
    'a kill at %s under load leaves every answered effect there, once',
    { timeout: KILL_TIMEOUT_MS },
    async (point) => {
      // Folds come every few seconds and batches all the time: the first hit of the one is as good as a later one of the other.
      const hit = point === 'fold.written' ? 1 : random.between(1, 40);
      expect(await current().die({ point, hit })).toEqual([]);
    },
  );

  test(
    `${RANDOM_KILLS} kills at random moments under load leave every answered effect there, once`,
    { timeout: RANDOM_KILLS * KILL_TIMEOUT_MS },
    async () => {
      for (let kill = 0; kill < RANDOM_KILLS; kill++) {
        expect(await current().die({ afterMs: random.between(1, LATEST_KILL_MS) })).toEqual([]);
      }
    },
  );

  test('after the last kill nothing is held, everything adds up, and the server ends by itself', { timeout: KILL_TIMEOUT_MS }, async () => {
    expect(await current().finish()).toEqual([]);
    // A load that got nothing through would have proved nothing.
    expect(current().log.calls.length).toBeGreaterThan(50);
    expect(current().log.keys.size).toBeGreaterThan(10);
    expect(current().interrupted()).toBeGreaterThan(10);
  });

  test.each(START_POINTS)(
    'a first start that is killed at %s is made good by the next one',
    { timeout: KILL_TIMEOUT_MS },
    async (point) => {
      const server = makeServer({ store: await makeStore() });
      const client = makeHttpClient();
      try {
        server.launch({ kill: { point, hit: 1, armFile: null } });
        expect(await server.ended()).toEqual({ code: null, signal: 'SIGKILL' });
        await server.start();
        const { admin_key, demo_key } = server.credentials();
        const keys = await client.ask(`${server.admin}/api/keys`, { headers: bearer(admin_key) });
        expect(keys.json<{ name: string; key: string }[]>().map(({ name, key }) => [name, key])).toEqual([['demo', demo_key]]);
        const models = await client.ask(`${server.runtime}/v1/models`, { headers: bearer(demo_key) });
        expect(models.json<{ data: { id: string }[] }>().data.map(({ id }) => id)).toEqual(['demo-echo']);
        expect((await server.stop()).code).toBe(0);
        expect((await server.verify()).discrepancies).toEqual([]);
      } finally {
        await client.close();
        await server.dispose();
      }
    },
  );
}

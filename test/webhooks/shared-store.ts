import { afterAll, beforeAll } from 'vitest';
import { makeCommands } from '../contract/commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from '../contract/test-store.ts';

/** One store for the tests of a suite, with the tenants `acme` and `beta`. */
export interface SharedStore {
  readonly at: TestStore;
  readonly clock: TestClock;
  /** Forgets subscriptions, deliveries and events, and goes on some days later. Gives a name that no node had before. */
  renew(): Promise<string>;
  /** Lets nodes that read the subscriptions before read them again, after a row was written past them. */
  recordsWritten(): Promise<void>;
}

const DAYS_MS = 3 * 86_400_000;

/** Opens the store before the tests of the suite around it, and throws it away after them. */
export function shareStore(makeStore: MakeStore): SharedStore {
  const clock = makeTestClock();
  let at: TestStore | null = null;
  let serial = 0;
  beforeAll(async () => {
    at = await makeStore({ clock });
    const commands = makeCommands();
    await at.store.execute('tenants', [commands.createTenant('acme'), commands.createTenant('beta')], 0);
  });
  afterAll(() => at?.destroy());
  const opened = (): TestStore => {
    if (at === null) throw new Error('the store is opened before the first test');
    return at;
  };
  const recordsWritten = async (): Promise<void> => {
    const store = opened();
    await store.raw('UPDATE store_state SET generation = generation + 1').catch(() => store.raw('UPDATE generation SET value = value + 1'));
  };
  return {
    get at() {
      return opened();
    },
    clock,
    recordsWritten,
    renew: async () => {
      clock.set(clock.nowMs() + DAYS_MS);
      for (const table of ['webhooks', 'webhook_health', 'deliveries', 'events']) await opened().raw(`DELETE FROM ${table}`);
      await recordsWritten();
      return `n${(serial += 1)}`;
    },
  };
}

import { describe, expect, test } from 'vitest';
import { makeLiveOwners } from './live-owners.ts';

/** A shared store that remembers when each run beat, by the same clock as the test's. */
function sharedStore() {
  const seenAtMs = new Map<string, number>();
  let nowMs = 0;
  let isDown = false;
  return {
    advance: (ms: number) => void (nowMs += ms),
    setDown: (down: boolean) => void (isDown = down),
    elapsedMs: () => nowMs,
    records: {
      heartbeat: ({ ownerId, withinMs }: { ownerId: string; withinMs: number }): Promise<string[]> => {
        if (isDown) return Promise.reject(new Error('away'));
        seenAtMs.set(ownerId, nowMs);
        return Promise.resolve([...seenAtMs].filter(([, at]) => nowMs - at <= withinMs).map(([owner]) => owner));
      },
    },
  };
}

/** How long a hold lives that nobody extends. */
const holdMs = 65_000;

describe('live owners', () => {
  test('on a store of its own, this run is the only one, and nothing is written', async () => {
    const store = sharedStore();
    store.setDown(true);
    const owners = makeLiveOwners({ ...store, holdMs, ownerId: 'a', deadOwnerId: null, isShared: false });
    await owners.beat();
    expect(owners.current()).toEqual(['a']);
  });

  test('a silent run is dead once its holds must have ended, a beating one is not', async () => {
    const store = sharedStore();
    const [a, b, c] = ['a', 'b', 'c'].map((ownerId) => makeLiveOwners({ ...store, holdMs, ownerId, deadOwnerId: null, isShared: true }));
    for (const owners of [a, b, c]) await owners?.beat();
    await a?.beat();
    expect(a?.current()).toEqual(['b', 'c', 'a']);
    const pass = async (seconds: number): Promise<void> => {
      for (let second = 0; second < seconds; second++) {
        store.advance(1000);
        await b?.beat();
        await a?.beat();
      }
    };
    // Paused for as long as a hold lives, and a margin: its calls are its own still.
    await pass(70);
    expect(a?.current()).toEqual(['b', 'c', 'a']);
    await pass(1);
    expect(a?.current()).toEqual(['b', 'a']);
  });

  test('the run before this one on the same folder is dead at once', async () => {
    const store = sharedStore();
    await makeLiveOwners({ ...store, holdMs, ownerId: 'before', deadOwnerId: null, isShared: true }).beat();
    const owners = makeLiveOwners({ ...store, holdMs, ownerId: 'now', deadOwnerId: 'before', isShared: true });
    await owners.beat();
    expect(owners.current()).toEqual(['now']);
  });

  test('right after an outage nobody is taken for dead', async () => {
    const store = sharedStore();
    const other = makeLiveOwners({ ...store, holdMs, ownerId: 'other', deadOwnerId: null, isShared: true });
    const owners = makeLiveOwners({ ...store, holdMs, ownerId: 'me', deadOwnerId: null, isShared: true });
    await other.beat();
    await owners.beat();
    store.setDown(true);
    store.advance(30_000);
    await expect(owners.beat()).rejects.toThrow('away');
    store.setDown(false);
    await owners.beat();
    expect(owners.current()).toEqual(['other', 'me']);
    store.advance(10_000);
    await owners.beat();
    expect(owners.current()).toEqual(['other', 'me']);
    store.advance(31_000);
    await owners.beat();
    expect(owners.current()).toEqual(['me']);
  });

  test('with the shortest of holds a silent run has ten seconds all the same', async () => {
    const store = sharedStore();
    const [a, b] = ['a', 'b'].map((ownerId) => makeLiveOwners({ ...store, holdMs: 1000, ownerId, deadOwnerId: null, isShared: true }));
    await b?.beat();
    await a?.beat();
    store.advance(10_000);
    await a?.beat();
    expect(a?.current()).toEqual(['b', 'a']);
    store.advance(1);
    await a?.beat();
    expect(a?.current()).toEqual(['a']);
  });

  test('tell how long the store has not answered', async () => {
    const store = sharedStore();
    const owners = makeLiveOwners({ ...store, holdMs, ownerId: 'me', deadOwnerId: null, isShared: true });
    expect(owners.silentMs()).toBe(Infinity);
    await owners.beat();
    expect(owners.silentMs()).toBe(0);
    store.setDown(true);
    store.advance(7000);
    await expect(owners.beat()).rejects.toThrow('away');
    expect(owners.silentMs()).toBe(7000);
  });
});

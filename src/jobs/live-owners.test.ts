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

describe('live owners', () => {
  test('on a store of its own, this run is the only one, and nothing is written', async () => {
    const store = sharedStore();
    store.setDown(true);
    const owners = makeLiveOwners({ ...store, ownerId: 'a', deadOwnerId: null, isShared: false });
    await owners.beat();
    expect(owners.current()).toEqual(['a']);
  });

  test('a silent run is dead after ten seconds, a beating one is not', async () => {
    const store = sharedStore();
    const [a, b, c] = ['a', 'b', 'c'].map((ownerId) => makeLiveOwners({ ...store, ownerId, deadOwnerId: null, isShared: true }));
    for (const owners of [a, b, c]) await owners?.beat();
    await a?.beat();
    expect(a?.current()).toEqual(['b', 'c', 'a']);
    for (let second = 0; second < 11; second++) {
      store.advance(1000);
      await b?.beat();
      await a?.beat();
    }
    expect(a?.current()).toEqual(['b', 'a']);
  });

  test('the run before this one on the same folder is dead at once', async () => {
    const store = sharedStore();
    await makeLiveOwners({ ...store, ownerId: 'before', deadOwnerId: null, isShared: true }).beat();
    const owners = makeLiveOwners({ ...store, ownerId: 'now', deadOwnerId: 'before', isShared: true });
    await owners.beat();
    expect(owners.current()).toEqual(['now']);
  });

  test('right after an outage nobody is taken for dead', async () => {
    const store = sharedStore();
    const other = makeLiveOwners({ ...store, ownerId: 'other', deadOwnerId: null, isShared: true });
    const owners = makeLiveOwners({ ...store, ownerId: 'me', deadOwnerId: null, isShared: true });
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
    expect(owners.current()).toEqual(['me']);
  });
});

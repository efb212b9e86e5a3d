import { expect, test } from 'vitest';
import { makeReadCache } from './read-cache.ts';

interface Thing {
  readonly id: string;
  readonly version: number;
}

function makeSubject(maxFound = 10) {
  const stored = new Map<string, Thing>();
  const reads: string[] = [];
  const cache = makeReadCache<Thing>({
    read: async (key) => {
      reads.push(key);
      return stored.get(key);
    },
    idOf: ({ id }) => id,
    maxFound,
    maxMissing: 10,
  });
  return { stored, reads, cache };
}

test('a thing that is kept under two keys is forgotten under both', async () => {
  const { stored, reads, cache } = makeSubject();
  for (const key of ['new', 'old']) stored.set(key, { id: 'k1', version: 1 });
  await cache.get('new');
  await cache.get('old');
  for (const key of ['new', 'old']) stored.set(key, { id: 'k1', version: 2 });
  expect((await cache.get('old'))?.version).toBe(1);
  cache.forget('k1');
  expect([(await cache.get('new'))?.version, (await cache.get('old'))?.version]).toEqual([2, 2]);
  expect(reads).toEqual(['new', 'old', 'new', 'old']);
});

test('a thing one of whose keys was pushed out is still forgotten under the other', async () => {
  const { stored, cache } = makeSubject(2);
  for (const key of ['a1', 'a2']) stored.set(key, { id: 'a', version: 1 });
  stored.set('b', { id: 'b', version: 1 });
  await cache.get('a1');
  await cache.get('a2');
  await cache.get('b');
  expect(cache.size.found).toBe(2);
  stored.set('a2', { id: 'a', version: 2 });
  cache.forget('a');
  expect((await cache.get('a2'))?.version).toBe(2);
});

test('nothing of a thing that was pushed out stays', async () => {
  const { stored, cache } = makeSubject(1);
  for (const id of ['a', 'b', 'c']) {
    stored.set(id, { id, version: 1 });
    await cache.get(id);
    await cache.get(id);
  }
  expect(cache.size.found).toBe(1);
  cache.forget('c');
  expect(cache.size.found).toBe(0);
});

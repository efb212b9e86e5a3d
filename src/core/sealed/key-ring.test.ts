import { expect, test } from 'vitest';
import { DEFAULT_SEALED_KEYS, keysAfter, readKeyRing, usesOf, type SealedKey } from './key-ring.ts';

const policy = { rotateEveryMs: 100, overlapMs: 10, recogniseMs: 50 };
const key = (id: string, madeAtMs: number, replacedAtMs: number | null = null): SealedKey => ({
  id,
  publicKey: '',
  madeAtMs,
  replacedAtMs,
});
const ids = (keys: readonly SealedKey[]): string[] => keys.map(({ id }) => id);

test('a key is told until it is due, opens for the overlap after it was replaced, is recognised for a time after that, and then forgotten', () => {
  const keys = [key('b', 100), key('a', 0, 100)];
  const at = (nowMs: number): readonly unknown[] => {
    const { published, opening, recognised, hasExpired } = usesOf(keys, nowMs, policy);
    return [published?.id ?? null, ids(opening), ids(recognised), hasExpired];
  };
  expect(at(100)).toEqual(['b', ['b', 'a'], [], false]);
  expect(at(109)).toEqual(['b', ['b', 'a'], [], false]);
  expect(at(110)).toEqual(['b', ['b'], ['a'], false]);
  expect(at(159)).toEqual(['b', ['b'], ['a'], false]);
  expect(at(160)).toEqual(['b', ['b'], [], true]);
  expect(at(199)).toEqual(['b', ['b'], [], true]);
  expect(at(200)).toEqual([null, ['b'], [], true]);
  expect(usesOf([], 0, policy)).toEqual({ published: null, opening: [], recognised: [], hasExpired: false });
});

test('the new key replaces the newest one now, however late it is, and what has expired is not kept', () => {
  const keys = keysAfter([key('b', 100), key('a', 0, 100)], { made: key('c', 500), nowMs: 500, policy });
  expect(keys).toEqual([key('c', 500), key('b', 100, 500)]);
  expect(keysAfter(keys, { made: null, nowMs: 570, policy })).toEqual([key('c', 500)]);
});

test('however fast keys change, two open and eight are recognised', () => {
  const fast = { rotateEveryMs: 10, overlapMs: 10, recogniseMs: 1_000_000 };
  let keys: readonly SealedKey[] = [];
  for (let nowMs = 0; nowMs <= 300; nowMs += 10) keys = keysAfter(keys, { made: key(`k${nowMs}`, nowMs), nowMs, policy: fast });
  const { opening, recognised } = usesOf(keys, 305, fast);
  expect(ids(opening)).toEqual(['k300', 'k290']);
  expect(ids(recognised)).toEqual(['k280', 'k270', 'k260', 'k250', 'k240', 'k230', 'k220', 'k210']);
  expect(keys).toHaveLength(10);
});

test('by default a key is told for a day, opens for an hour more and is recognised for a week', () => {
  expect(DEFAULT_SEALED_KEYS).toEqual({ rotateEveryMs: 86_400_000, overlapMs: 3_600_000, recogniseMs: 604_800_000 });
});

test('a setting that holds no ring is none', () => {
  expect([undefined, null, 'x', {}, { version: 1 }].map((value) => readKeyRing(value))).toEqual([null, null, null, null, null]);
  expect(readKeyRing({ version: 1, keys: [], sealed: 'x' })).toEqual({ version: 1, keys: [], sealed: 'x' });
});

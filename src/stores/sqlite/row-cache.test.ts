import { describe, expect, test } from 'vitest';
import { RowCache } from './row-cache.ts';

const fill = (cache: RowCache<string, number>, keys: readonly string[]): void => {
  for (const [index, key] of keys.entries()) cache.set(key, index);
};

describe('RowCache', () => {
  test('tells an absent row from one that it knows nothing of', () => {
    const cache = new RowCache<string, number>(10);
    cache.set('absent', null);
    cache.set('zero', 0);
    expect([cache.get('absent'), cache.get('zero'), cache.get('unknown')]).toEqual([null, 0, undefined]);
  });

  test('keeps every row until it is trimmed, however many there are', () => {
    const cache = new RowCache<string, number>(2);
    fill(cache, ['a', 'b', 'c', 'd']);
    expect(['a', 'b', 'c', 'd'].map((key) => cache.get(key))).toEqual([0, 1, 2, 3]);
  });

  test('drops the rows that were not used between two trims', () => {
    const cache = new RowCache<string, number>(4);
    fill(cache, ['a', 'b', 'c']);
    cache.trim();
    expect(cache.get('a')).toBe(0);
    fill(cache, ['d', 'e']);
    cache.trim();
    expect(['a', 'b', 'c', 'd', 'e'].filter((key) => cache.get(key) !== undefined)).toEqual(['a', 'd', 'e']);
  });

  test('a row written again stands, whichever generation it was in', () => {
    const cache = new RowCache<string, number>(2);
    fill(cache, ['a', 'b']);
    cache.trim();
    cache.set('a', 7);
    cache.delete('b');
    expect([cache.get('a'), cache.get('b')]).toEqual([7, undefined]);
  });

  test('forgets all that it knew when it is cleared', () => {
    const cache = new RowCache<string, number>(1);
    fill(cache, ['a', 'b']);
    cache.trim();
    cache.set('c', null);
    cache.clear();
    expect(['a', 'b', 'c'].map((key) => cache.get(key))).toEqual([undefined, undefined, undefined]);
  });
});

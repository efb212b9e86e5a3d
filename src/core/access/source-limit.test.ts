import { expect, test } from 'vitest';
import { allowanceAt, sourceOf, waitMs } from './source-limit.ts';

const LIMIT = { capacity: 10, perSecond: 2 };

test('a new source has all of its allowance, and gains some with time, never more than all', () => {
  const fresh = allowanceAt(undefined, LIMIT, 1000);
  expect(fresh).toEqual({ left: 10, atMs: 1000 });
  expect(allowanceAt({ left: 3, atMs: 1000 }, LIMIT, 2500)).toEqual({ left: 6, atMs: 2500 });
  expect(allowanceAt({ left: 3, atMs: 1000 }, LIMIT, 900_000).left).toBe(10);
  expect(allowanceAt({ left: 3, atMs: 1000 }, LIMIT, 500).left).toBe(3);
});

test('a source waits until it has one question, the longer the more it owes', () => {
  expect([1, 1.5, 0.5, 0, -9].map((left) => waitMs({ left, atMs: 0 }, LIMIT))).toEqual([0, 0, 250, 500, 5000]);
});

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:10.0.0.7', '10.0.0.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
  ['2001:DB8:1:2::9', '2001:db8:1:2'],
  ['2001:0db8:0001:0002::9', '2001:db8:1:2'],
  ['2001:db8::9', '2001:db8:0:0'],
  ['fe80::1%eth0', 'fe80:0:0:0'],
  ['::1', '0:0:0:0'],
])('%s is the source %s', (address, source) => {
  expect(sourceOf(address)).toBe(source);
});

import { expect, test } from 'vitest';
import { parseDuration, parseSize } from './sizes-and-lengths.ts';

test.each<readonly [unknown, number | null]>([
  [0, 0],
  [1048576, 1048576],
  ['1048576', 1048576],
  ['7b', 7],
  ['512m', 512 * 1024 ** 2],
  ['512M', 512 * 1024 ** 2],
  ['1g', 1024 ** 3],
  ['1.5g', 1.5 * 1024 ** 3],
  ['64 MB', 64 * 1024 ** 2],
  ['2GiB', 2 * 1024 ** 3],
  ['1kb', 1024],
  ['8t', 8 * 1024 ** 4],
  ['0.1g', null],
  ['1.5', null],
  ['-1m', null],
  ['1e3', null],
  ['0x10', null],
  ['m', null],
  ['', null],
  ['1m ', null],
  ['1p', null],
  ['999999999999999t', null],
  [1.5, null],
  [-1, null],
  [Number.NaN, null],
  [2 ** 60, null],
  [true, null],
  [null, null],
])('the size %j is %j bytes', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each<readonly [unknown, number | null]>([
  [0, 0],
  ['0', 0],
  ['0s', 0],
  ['5s', 5000],
  ['1m30s', 90_000],
  ['1.5h', 5_400_000],
  ['250ms', 250],
  ['1h2m3s4ms', 3_723_004],
  ['0.25s', 250],
  ['5', null],
  [5, null],
  ['5 s', null],
  ['-5s', null],
  ['1d', null],
  ['100us', null],
  ['0.5ms', null],
  ['s', null],
  ['', null],
  ['1s'.repeat(40), null],
  [true, null],
])('the length %j is %j milliseconds', (text, lengthMs) => {
  expect(parseDuration(text)).toBe(lengthMs);
});

import { expect, test } from 'vitest';
import { retryAfterMs } from './retry-after.ts';

const NOW_MS = Date.UTC(2026, 10, 22, 12);

test.each([
  [null, null],
  ['', null],
  ['soon', null],
  ['-1', null],
  ['0', 0],
  ['17', 17_000],
  ['Sun, 22 Nov 2026 12:00:09 GMT', 9000],
  ['Sun, 22 Nov 2026 11:00:00 GMT', 0],
])('Retry-After: %j asks for %j ms', (text, expected) => {
  expect(retryAfterMs(text, NOW_MS)).toBe(expected);
});

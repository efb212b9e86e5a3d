import { expect, test } from 'vitest';
import { endsWithin, stopLimitMs } from './stop-limit.ts';

test('a stop that ends in time is waited for, one that hangs is not', async () => {
  expect(await endsWithin(Promise.resolve(), 60_000)).toBe(true);
  expect(await endsWithin(new Promise(() => undefined), 10)).toBe(false);
});

test('a stop has time for requests, for the upstreams of those it cut, and to close', () => {
  expect(stopLimitMs(30_000)).toBe(75_000);
});

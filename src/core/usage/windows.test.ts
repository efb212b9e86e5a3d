import { describe, expect, test } from 'vitest';
import { goDuration, USAGE_WINDOWS, usageWindow, windowRange } from './windows.ts';

describe('usage windows', () => {
  test('are the nine of the API, with their fixed buckets', () => {
    const table = USAGE_WINDOWS.map(({ name, windowMs, intervalMs }) => [name, goDuration(intervalMs), windowMs / intervalMs]);
    expect(table).toEqual([
      ['5m', '5s', 60],
      ['15m', '15s', 60],
      ['30m', '30s', 60],
      ['1h', '1m0s', 60],
      ['24h', '15m0s', 96],
      ['7d', '2h0m0s', 84],
      ['30d', '8h0m0s', 90],
      ['60d', '24h0m0s', 60],
      ['90d', '24h0m0s', 90],
    ]);
  });

  test('are found by name, and no other name is a window', () => {
    expect(usageWindow('24h')?.windowMs).toBe(86_400_000);
    expect(['', '24H', '1d', 'all', '120s'].map(usageWindow)).toEqual([undefined, undefined, undefined, undefined, undefined]);
  });
});

describe('windowRange', () => {
  const at = (time: string): number => Date.parse(time);
  test.each([
    ['5m', '2026-11-22T10:07:03Z', '2026-11-22T10:02:05Z', 60],
    ['15m', '2026-11-22T10:07:03Z', '2026-11-22T09:52:15Z', 60],
    ['30m', '2026-11-22T10:07:03Z', '2026-11-22T09:37:30Z', 60],
    ['1h', '2026-11-22T10:07:03Z', '2026-11-22T09:08:00Z', 60],
    ['24h', '2026-11-22T10:07:03Z', '2026-11-21T10:15:00Z', 96],
    ['7d', '2026-11-22T10:07:03Z', '2026-11-15T12:00:00Z', 84],
    ['30d', '2026-11-22T10:07:03Z', '2026-10-23T16:00:00Z', 90],
    ['60d', '2026-11-22T10:07:03Z', '2026-09-24T00:00:00Z', 60],
    ['90d', '2026-11-22T10:07:03Z', '2026-08-25T00:00:00Z', 90],
    // On a boundary the bucket that starts now is the last one, and empty.
    ['5m', '2026-11-22T10:05:00Z', '2026-11-22T10:00:05Z', 60],
    ['24h', '2026-11-22T10:15:00Z', '2026-11-21T10:30:00Z', 96],
  ])('%s at %s starts at %s and has %i points', (name, now, from, points) => {
    const window = usageWindow(name);
    expect(window && windowRange(window, at(now))).toEqual({ fromMs: at(from), points });
  });

  test('the last of its buckets holds now', () => {
    for (const window of USAGE_WINDOWS) {
      for (const nowMs of [at('2026-11-22T10:07:03.999Z'), at('2026-11-22T00:00:00Z'), at('2026-11-21T23:59:59.999Z')]) {
        const { fromMs, points } = windowRange(window, nowMs);
        const lastMs = fromMs + (points - 1) * window.intervalMs;
        expect(lastMs <= nowMs && nowMs < lastMs + window.intervalMs).toBe(true);
      }
    }
  });
});

describe('goDuration', () => {
  test.each([
    [0, '0s'],
    [250, '250ms'],
    [1000, '1s'],
    [1500, '1.5s'],
    [5000, '5s'],
    [60_000, '1m0s'],
    [61_500, '1m1.5s'],
    [900_000, '15m0s'],
    [7_200_000, '2h0m0s'],
    [28_800_000, '8h0m0s'],
    [86_400_000, '24h0m0s'],
    [90_061_000, '25h1m1s'],
  ])('writes %i ms as %s', (ms, text) => {
    expect(goDuration(ms)).toBe(text);
  });
});

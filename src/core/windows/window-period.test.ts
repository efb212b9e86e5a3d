import { describe, expect, test } from 'vitest';
import { endOfLabel, periodOfLabel, WINDOW_PERIODS, windowEndMs, windowLabel, windowStartMs, type WindowPeriod } from './window-period.ts';

const at = (text: string): number => Date.parse(text);
const DAY_MS = 86_400_000;

/** Moment, period, label, start, end. */
const TABLE: readonly (readonly [string, WindowPeriod, string, string, string])[] = [
  ['2026-11-22T23:59:59.999Z', 'daily', '2026-11-22', '2026-11-22', '2026-11-23'],
  ['2026-11-23T00:00:00.000Z', 'daily', '2026-11-23', '2026-11-23', '2026-11-24'],
  ['2026-11-22T23:59:59.999Z', 'weekly', '2026-W47', '2026-11-16', '2026-11-23'],
  ['2026-11-23T00:00:00.000Z', 'weekly', '2026-W48', '2026-11-23', '2026-11-30'],
  ['2026-11-30T23:59:59.999Z', 'monthly', '2026-11', '2026-11-01', '2026-12-01'],
  ['2026-12-01T00:00:00.000Z', 'monthly', '2026-12', '2026-12-01', '2027-01-01'],
  // Leap days.
  ['2024-02-29T12:00:00.000Z', 'daily', '2024-02-29', '2024-02-29', '2024-03-01'],
  ['2024-02-29T12:00:00.000Z', 'monthly', '2024-02', '2024-02-01', '2024-03-01'],
  ['2100-02-28T23:00:00.000Z', 'daily', '2100-02-28', '2100-02-28', '2100-03-01'],
  // A week belongs to the year of its Thursday.
  ['2021-01-03T23:59:59.999Z', 'weekly', '2020-W53', '2020-12-28', '2021-01-04'],
  ['2021-01-04T00:00:00.000Z', 'weekly', '2021-W01', '2021-01-04', '2021-01-11'],
  ['2024-12-30T00:00:00.000Z', 'weekly', '2025-W01', '2024-12-30', '2025-01-06'],
  ['2027-01-01T08:00:00.000Z', 'weekly', '2026-W53', '2026-12-28', '2027-01-04'],
  ['2028-01-01T08:00:00.000Z', 'weekly', '2027-W52', '2027-12-27', '2028-01-03'],
];

describe('windows', () => {
  test.each(TABLE)('%s lies in the %s window %s', (moment, period, label, start, end) => {
    const atMs = at(moment);
    expect(windowLabel(period, atMs)).toBe(label);
    expect(windowStartMs(period, atMs)).toBe(at(start));
    expect(windowEndMs(period, atMs)).toBe(at(end));
    expect(endOfLabel(label)).toBe(at(end));
    expect(periodOfLabel(label)).toBe(period);
  });

  test('follow each other without a gap, each under a name of its own, over forty years of days', () => {
    for (const period of WINDOW_PERIODS) {
      const labels = new Map<string, number>();
      for (let dayMs = at('2019-12-25'); dayMs < at('2060-01-10'); dayMs += DAY_MS) {
        const startMs = windowStartMs(period, dayMs);
        expect(startMs <= dayMs && dayMs < windowEndMs(period, dayMs)).toBe(true);
        expect(windowStartMs(period, windowEndMs(period, dayMs))).toBe(windowEndMs(period, dayMs));
        expect(windowLabel(period, windowEndMs(period, dayMs) - 1)).toBe(windowLabel(period, startMs));
        const label = windowLabel(period, dayMs);
        expect(labels.get(label) ?? startMs).toBe(startMs);
        expect(endOfLabel(label)).toBe(windowEndMs(period, dayMs));
        labels.set(label, startMs);
      }
    }
  });

  test.each(['', '2026', '2026-W', '2026-11-', 'x'])('%j names no window', (label) => expect(endOfLabel(label)).toBeNull());
});

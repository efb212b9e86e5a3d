import { expect, test } from 'vitest';
import { BILL_DELAY_MS, firstLateMonth, lastDueMonth } from './make-statement.ts';
import { monthOf, monthRange, monthsBetween, nextMonth } from './month.ts';

const at = (text: string): number => Date.parse(text);

test.each([
  ['2026-11', '2026-11-01T00:00:00Z', '2026-12-01T00:00:00Z'],
  ['2026-12', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
  ['2024-02', '2024-02-01T00:00:00Z', '2024-03-01T00:00:00Z'],
  ['2026-02', '2026-02-01T00:00:00Z', '2026-03-01T00:00:00Z'],
  ['2000-02', '2000-02-01T00:00:00Z', '2000-03-01T00:00:00Z'],
])('%s lasts from %s to %s', (month, from, to) => {
  expect(monthRange(month)).toEqual({ fromMs: at(from), toMs: at(to) });
  expect([monthOf(at(from)), monthOf(at(to) - 1)]).toEqual([month, month]);
  expect(monthOf(at(to))).toBe(nextMonth(month));
});

test('months between two, over the end of a year; none where the first is the later one', () => {
  expect(monthsBetween('2026-11', '2027-02')).toEqual(['2026-11', '2026-12', '2027-01', '2027-02']);
  expect(monthsBetween('2026-11', '2026-11')).toEqual(['2026-11']);
  expect(monthsBetween('2026-12', '2026-11')).toEqual([]);
});

test.each([
  ['2026-12-01T00:00:00Z', '2026-10'],
  ['2026-12-01T00:59:59.999Z', '2026-10'],
  ['2026-12-01T01:00:00Z', '2026-11'],
  ['2026-12-31T23:59:59Z', '2026-11'],
  ['2027-01-01T01:00:00Z', '2026-12'],
  ['2024-03-01T01:00:00Z', '2024-02'],
])('at %s the last month that may be billed is %s', (now, month) => {
  expect(BILL_DELAY_MS).toBe(3_600_000);
  expect(lastDueMonth(at(now))).toBe(month);
});

test.each([
  ['2026-10', '2026-10'],
  ['2026-12', '2026-12'],
  ['2026-02', '2026-01'],
  ['2024-02', '2024-01'],
])('usage of a month may be told 30 days late: after %s was billed, from %s on', (closed, first) => {
  expect(firstLateMonth(closed)).toBe(first);
});

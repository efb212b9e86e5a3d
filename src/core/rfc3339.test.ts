import { expect, test } from 'vitest';
import { formatRfc3339, formatRfc3339OrNull, parseRfc3339 } from './rfc3339.ts';

test.each([
  ['1970-01-01T00:00:00Z', 0],
  ['2026-12-31T23:59:59Z', Date.UTC(2026, 11, 31, 23, 59, 59)],
  ['2026-12-31t23:59:59z', Date.UTC(2026, 11, 31, 23, 59, 59)],
  ['2026-12-31T23:59:59.5Z', Date.UTC(2026, 11, 31, 23, 59, 59, 500)],
  ['2026-12-31T23:59:59.123456789Z', Date.UTC(2026, 11, 31, 23, 59, 59, 123)],
  ['2026-01-01T01:30:00+02:00', Date.UTC(2025, 11, 31, 23, 30)],
  ['2026-01-01T01:30:00-02:30', Date.UTC(2026, 0, 1, 4)],
  ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
  ['0001-01-01T00:00:00Z', -62_135_596_800_000],
])('%s is a moment', (text, ms) => {
  expect(parseRfc3339(text)).toBe(ms);
});

test.each([
  '',
  'tomorrow',
  '2026-12-31',
  '2026-12-31T23:59:59',
  '2026-02-29T00:00:00Z',
  '2026-04-31T00:00:00Z',
  '2026-13-01T00:00:00Z',
  '2026-00-01T00:00:00Z',
  '2026-01-00T00:00:00Z',
  '2026-01-01T24:00:00Z',
  '2026-01-01T00:60:00Z',
  '2026-01-01T00:00:61Z',
  '2026-01-01T00:00:00+24:00',
  '2026-01-01T00:00:00+0200',
  ' 2026-01-01T00:00:00Z',
  '2026-01-01T00:00:00Z\n',
  '20260101T000000Z',
  '+02026-01-01T00:00:00Z',
  '1767225600',
])('%j is no moment', (text) => {
  expect(parseRfc3339(text)).toBeNull();
});

test('moments are written in UTC, with milliseconds only where there are some', () => {
  expect(formatRfc3339(Date.UTC(2026, 3, 1))).toBe('2026-04-01T00:00:00Z');
  expect(formatRfc3339(Date.UTC(2026, 3, 1, 0, 0, 0, 7))).toBe('2026-04-01T00:00:00.007Z');
  expect(formatRfc3339OrNull(null)).toBeNull();
});

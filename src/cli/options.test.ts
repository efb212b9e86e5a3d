import { expect, test } from 'vitest';
import { countOption, limitOption, momentOption, usdOption } from './options.ts';

const moment = momentOption(() => Date.parse('2026-11-22T10:00:00Z'));

test('what an option takes reaches the server with every digit', () => {
  expect([usdOption('none'), usdOption('12.50'), usdOption('0.00000001')]).toEqual([null, '12.50', '0.00000001']);
  expect([countOption('none'), countOption('100'), countOption('9223372036854775807')]).toEqual([null, 100, 9223372036854775807n]);
  expect([moment('never'), moment('30d'), moment('12h'), moment('90m'), moment('2027-01-01T00:00:00Z')]).toEqual([
    null,
    '2026-12-22T10:00:00.000Z',
    '2026-11-22T22:00:00.000Z',
    '2026-11-22T11:30:00.000Z',
    '2027-01-01T00:00:00Z',
  ]);
  expect(limitOption('12')).toBe(12);
});

test.each([
  [usdOption, '-1'],
  [usdOption, '1e3'],
  [usdOption, ''],
  [countOption, '1.5'],
  [countOption, 'many'],
  [moment, 'tomorrow'],
  [moment, '3w'],
  [limitOption, '0'],
])('%o refuses %j with what it takes', (read, text) => {
  expect(() => read(text)).toThrow(/write /);
});

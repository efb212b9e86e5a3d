import { expect, test } from 'vitest';
import { countOption, limitOption, momentOption, usdOption } from './options.ts';

const moment = momentOption(() => Date.parse('2026-11-22T10:00:00Z'));

test('what an option takes reaches the server with every digit', () => {
  const usd = ['none', '12.50', '0.00000001'].map((text) => usdOption(text).value);
  expect(usd).toEqual([null, '12.50', '0.00000001']);
  const counts = ['none', '100', '9223372036854775807'].map((text) => countOption(text).value);
  expect(counts).toEqual([null, 100, 9223372036854775807n]);
  const moments = ['never', '30d', '12h', '90m', '2027-01-01T00:00:00Z'].map((text) => moment(text).value);
  expect(moments).toEqual([
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

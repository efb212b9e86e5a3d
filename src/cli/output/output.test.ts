import { expect, test } from 'vitest';
import { wantsColour } from '../terminal.ts';
import { sumUsd } from './sum-usd.ts';
import { renderFields, renderTable, widthOf } from './table.ts';
import { bytesText, counted, countText, momentText, usdText } from './words.ts';

type Row = { readonly name: string; readonly n: string };
const COLUMNS = [
  { head: 'NAME', text: (row: Row) => row.name },
  { head: 'N', text: (row: Row) => row.n, isNumber: true },
];

test('columns stand under each other, numbers to the right, whatever the letters are', () => {
  const rows = [
    { name: 'a', n: '1' },
    { name: '日本', n: '1,000' },
    { name: 'e\u0301', n: '20' },
  ];
  expect(renderTable(COLUMNS, rows, { isColoured: false })).toBe(
    ['NAME      N', 'a         1', '日本  1,000', 'e\u0301        20', ''].join('\n'),
  );
  expect(widthOf('日本')).toBe(4);
});

test('totals stand below a rule, and an empty table has its head', () => {
  expect(renderTable(COLUMNS, [{ name: 'a', n: '1' }], { isColoured: false, total: { name: 'TOTAL', n: '1' } })).toBe(
    'NAME   N\na      1\n-----  -\nTOTAL  1\n',
  );
  expect(renderTable(COLUMNS, [], { isColoured: false })).toBe('NAME  N\n');
});

test('nothing in a name moves the cursor or turns the line around', () => {
  const text = renderFields([['name', 'a\u001b[2Jb\u202ec\r\nd']], { isColoured: false });
  expect(text).toBe('name  a\ufffd[2Jb\ufffdc\ufffd\ufffdd\n');
});

test('colour is only added where it is wanted', () => {
  expect(renderFields([['a', 'b']], { isColoured: true })).toBe('\u001b[1ma\u001b[22m  b\n');
  expect(wantsColour({}, true)).toBe(true);
  expect(wantsColour({}, false)).toBe(false);
  expect(wantsColour({ NO_COLOR: '1', FORCE_COLOR: '1' }, true)).toBe(false);
  expect(wantsColour({ NO_COLOR: '' }, true)).toBe(true);
  expect(wantsColour({ FORCE_COLOR: '1' }, false)).toBe(true);
  expect(wantsColour({ FORCE_COLOR: '0' }, true)).toBe(false);
  expect(wantsColour({ TERM: 'dumb' }, true)).toBe(false);
});

test.each([
  [null, '-'],
  ['0', '$0.00'],
  ['0.00', '$0.00'],
  ['50', '$50.00'],
  ['12.5', '$12.50'],
  ['1234567.894', '$1,234,567.89'],
  ['1234567.895', '$1,234,567.90'],
  ['0.999', '$1.00'],
  ['0.015', '$0.02'],
  ['0.01', '$0.01'],
  ['0.0000081', '$0.0000081'],
  ['0.000123456', '$0.0001235'],
  ['-3.5', '-$3.50'],
  ['92233720368.54775807', '$92,233,720,368.55'],
])('the amount %s is shown as %s', (amount, shown) => {
  expect(usdText(amount)).toBe(shown);
});

test('sums of amounts are exact', () => {
  expect(sumUsd([])).toBe('0');
  expect(sumUsd(['0.1', '0.2', '92233720368.547758071'])).toBe('92233720368.847758071');
});

test('counts, moments and sizes read well', () => {
  expect([countText(1234567), countText(-1234), countText(9223372036854775807n)]).toEqual([
    '1,234,567',
    '-1,234',
    '9,223,372,036,854,775,807',
  ]);
  expect([momentText('2026-11-22T10:07:03.123Z'), momentText(null, 'never')]).toEqual(['2026-11-22 10:07:03', 'never']);
  expect([bytesText(1), bytesText(1536), bytesText(5 * 1024 ** 3)]).toEqual(['1 B', '1.5 KiB', '5.0 GiB']);
  expect([counted(1, 'place'), counted(2, 'place')]).toEqual(['1 place', '2 places']);
});

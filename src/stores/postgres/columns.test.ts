import { describe, expect, test } from 'vitest';
import { arrayText, columnArrays, compareBytes, unnest } from './columns.ts';

describe('an array parameter', () => {
  test.each([
    ['nothing', [], '{}'],
    ['numbers, bigints and null', [1, -9_223_372_036_854_775_808n, null], '{1,-9223372036854775808,NULL}'],
    ['texts that look like syntax', ['', 'NULL', '{a,b}', ' c '], '{"","NULL","{a,b}"," c "}'],
    ['quotes and backslashes', ['say "hi"', String.raw`C:\x`], String.raw`{"say \"hi\"","C:\\x"}`],
    ['the character that no text of the server can hold', ['a\0b'], '{"a\uFFFDb"}'],
  ])('writes %s', (_what, values, text) => {
    expect(arrayText(values)).toBe(text);
  });

  test('is made for each column of the rows', () => {
    expect(
      columnArrays(
        [
          ['a', 1n],
          ['b', null],
        ],
        2,
      ),
    ).toEqual(['{"a","b"}', '{1,NULL}']);
    expect(columnArrays([], 2)).toEqual(['{}', '{}']);
  });
});

test('rows are made of arrays of the types of their columns', () => {
  expect(unnest(['id', 'at_ms', 'streaming', 'body'], 'x', 3)).toBe(
    'unnest($3::text[], $4::bigint[], $5::boolean[], $6::json[]) AS x(id, at_ms, streaming, body)',
  );
});

test('texts are ordered by code point, as the database orders them, not by UTF-16 units', () => {
  expect(['\u{1F600}', '\uFFFD', 'a', 'Z', ''].toSorted(compareBytes)).toEqual(['', 'Z', 'a', '\uFFFD', '\u{1F600}']);
});

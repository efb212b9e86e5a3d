import { expect, test } from 'vitest';
import { canonicalJson } from './canonical-json.ts';
import { parseJson } from './int64.ts';

test.each([
  ['{"b":1,"a":[{"d":2,"c":3}]}', '{"a":[{"c":3,"d":2}],"b":1}'],
  [' { "a" : 1.0 , "b" : "\\u0041" } ', '{"a":1,"b":"A"}'],
  ['[3,1,2]', '[3,1,2]'],
  ['{"a":null}', '{"a":null}'],
  ['9007199254740993', '9007199254740993'],
  ['"text"', '"text"'],
])('%s is %s', (text, canonical) => {
  expect(canonicalJson(parseJson(text))).toBe(canonical);
});

test('integers next to each other beyond 2^53 differ', () => {
  expect(canonicalJson(parseJson('9007199254740992'))).not.toBe(canonicalJson(parseJson('9007199254740993')));
});

test('a member that is undefined is missing', () => {
  expect(canonicalJson({ a: undefined, b: 1 })).toBe('{"b":1}');
});

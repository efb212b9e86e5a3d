import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inspectJson, MAX_JSON_DEPTH, parseJson, stringifyJson } from './int64.ts';

describe('parseJson', () => {
  const cases: readonly (readonly [string, unknown])[] = [
    ['9007199254740991', 9007199254740991],
    ['9007199254740993', 9007199254740993n],
    ['-9007199254740993', -9007199254740993n],
    ['9223372036854775807', 9223372036854775807n],
    ['{"a":[9223372036854775807,1]}', { a: [9223372036854775807n, 1] }],
    ['{"a":"9223372036854775807"}', { a: '9223372036854775807' }],
    ['0.1234567890123456789', Number('0.1234567890123456789')],
    ['1e3', 1000],
    ['1e100', 1e100],
    ['1e-400', 0],
  ];
  test.each(cases)('%s keeps its value', (text, value) => {
    expect(parseJson(text)).toStrictEqual(value);
  });

  test.each(['1e400', '[1E+0999]', '-1e309', '{"a":1', '', `1${'0'.repeat(1001)}`, `${'1'.repeat(310)}.5`])(
    'refuses %s with a SyntaxError',
    (text) => {
      expect(() => parseJson(text)).toThrow(SyntaxError);
    },
  );

  test('every integer survives the way in and out, digit for digit', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }), (value) => {
        const text = `{"deep":[{"value":${value}}],"text":"${value}"}`;
        expect(stringifyJson(parseJson(text))).toBe(text);
      }),
    );
  });

  test('values without large integers come out as JSON.stringify writes them', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        expect(stringifyJson(parseJson(text))).toBe(JSON.stringify(JSON.parse(text)));
      }),
    );
  });
});

describe('stringifyJson', () => {
  test('a value without a JSON form throws', () => {
    expect(() => stringifyJson(undefined)).toThrow(TypeError);
  });

  test('a cycle throws instead of running for ever', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    expect(() => stringifyJson(loop)).toThrow(TypeError);
  });
});

describe('inspectJson', () => {
  test.each([
    ['{"__proto__":1}', '__proto__'],
    ['{"a":[{"constructor":{}}]}', 'constructor'],
    ['{"a":{"\\u005f_proto__":1}}', '__proto__'],
  ])('finds the forbidden key in %s', (text, key) => {
    expect(inspectJson(parseJson(text))).toStrictEqual({ kind: 'forbidden_key', key });
  });

  test('the same words as values and inside keys are allowed', () => {
    expect(inspectJson(parseJson('{"a":"__proto__","my_constructor":["constructor"]}'))).toBeNull();
  });

  test('nesting beyond the limit is refused, at the limit it is not', () => {
    const nested = (depth: number): unknown => parseJson('['.repeat(depth) + ']'.repeat(depth));
    expect(inspectJson(nested(MAX_JSON_DEPTH))).toBeNull();
    expect(inspectJson(nested(MAX_JSON_DEPTH + 1))).toStrictEqual({ kind: 'too_deep' });
    expect(inspectJson(nested(5000))).toStrictEqual({ kind: 'too_deep' });
  });
});

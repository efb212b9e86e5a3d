import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inspectJson, JsonNumberError, MAX_JSON_DEPTH, parseJson, stringifyJson } from './int64.ts';

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
    ['5.0000000000000000000', 5],
    ['0.00000000000000000e-9', 0],
    ['-0.5e1', -5],
    ['0.00000000000000000005e20', 5],
    ['9007199254740991.0000', 9007199254740991],
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

  test.each([
    ['1e-400', 0],
    ['-1e-400', 0],
    ['4.99999999999999999999', 5],
    ['5.00000000000000000001', 5],
    ['-5.00000000000000000001', -5],
    ['499999999999999999999e-20', 5],
    ['499999999.9999999999', 500000000],
    [`0.${'0'.repeat(400)}1`, 0],
    [`0.${'0'.repeat(400)}1e1`, 0],
  ])('%s is no whole number, though a double would say %d', (text, near) => {
    const value = parseJson(`{"a":${text}}`) as { a: number };
    expect(Number.isInteger(value.a)).toBe(false);
    expect(Math.abs(value.a - near)).toBeLessThan(1e-6);
    expect(Math.sign(value.a)).toBe(text.startsWith('-') ? -1 : 1);
    expect(stringifyJson(value)).not.toBe(`{"a":${near}}`);
  });

  test('a decimal is whole after reading exactly where its digits are', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 25n }), fc.integer({ min: 0, max: 24 }), (digits, decimals) => {
        const text = digits.toString().padStart(decimals + 1, '0');
        const literal = `${text.slice(0, text.length - decimals)}${decimals === 0 ? '' : '.'}${text.slice(text.length - decimals)}`;
        const isWhole = digits % 10n ** BigInt(decimals) === 0n;
        let value: unknown;
        try {
          value = parseJson(literal);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonNumberError);
          return;
        }
        if (Number.isSafeInteger(value)) expect(isWhole).toBe(true);
        if (isWhole && digits / 10n ** BigInt(decimals) < 2n ** 53n) expect(Number.isSafeInteger(value)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  test.each(['1e400', '-1E+0999', '1'.repeat(5000), `${'1'.repeat(310)}.5`, '9007199254740990.6'])(
    'names the field of a number that it cannot keep',
    (text) => {
      try {
        parseJson(`{"a":{"cap":${text}}}`);
      } catch (error) {
        expect(error).toBeInstanceOf(JsonNumberError);
        expect((error as JsonNumberError).key).toBe('cap');
        return;
      }
      throw new Error('it was taken');
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

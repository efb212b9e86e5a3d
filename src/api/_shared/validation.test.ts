import Type from 'typebox';
import { describe, expect, test } from 'vitest';
import { compileValidator, Int64, JsonObject, toBigint } from './validation.ts';
import { RefusedRequest } from './problem.ts';

const Schema = Type.Object(
  {
    name: Type.String({ rule: 'a string' }),
    cap: Type.Optional(Type.Union([Int64, Type.Null()], { rule: 'a whole number, or null' })),
    inner: Type.Optional(Type.Object({ on: Type.Boolean({ rule: 'true or false' }) }, { additionalProperties: false })),
    list: Type.Optional(Type.Array(Type.String({ rule: 'a string' }))),
    object: Type.Optional(JsonObject),
    count: Type.Optional(Type.Integer()),
    'a/b~c': Type.Optional(Type.String({ rule: 'a string' })),
  },
  { additionalProperties: false },
);

const validate = compileValidator({ schema: Schema });

function refusalOf(value: unknown): string | null {
  const result = validate(value);
  if ('value' in result) return null;
  if (!(result.error instanceof RefusedRequest)) throw result.error;
  expect(result.error.problem.code).toBe('invalid_request');
  return result.error.problem.message;
}

test.each([
  [{ name: 'a' }],
  [{ name: 'a', cap: 5 }],
  [{ name: 'a', cap: 9_223_372_036_854_775_808n }],
  [{ name: 'a', cap: null }],
  [{ name: 'a', object: { x: 1 } }],
  [{ name: 'a', object: {} }],
])('takes %o and gives the very same value back', (value) => {
  const before = structuredClone(value);
  const result = validate(value);
  expect('value' in result && result.value).toBe(value);
  expect(value).toEqual(before);
});

test.each([
  [null, 'the body must be a JSON object'],
  ['a', 'the body must be a JSON object'],
  [[], 'the body must be a JSON object'],
  [{}, 'name is required'],
  [{ name: 1 }, 'name must be a string'],
  [{ name: 'a', cap: '5' }, 'cap must be a whole number, or null'],
  [{ name: 'a', cap: 1.5 }, 'cap must be a whole number, or null'],
  [{ name: 'a', cap: 2 ** 53 }, 'cap must be a whole number, or null'],
  [{ name: 'a', inner: { on: 'true' } }, 'inner.on must be true or false'],
  [{ name: 'a', inner: {} }, 'inner.on is required'],
  [{ name: 'a', inner: { on: true, off: 1 } }, 'inner.off is not a known field'],
  [{ name: 'a', list: ['a', 1] }, 'list.1 must be a string'],
  [{ name: 'a', object: [] }, 'object must be an object'],
  [{ name: 'a', object: null }, 'object must be an object'],
  [{ name: 'a', count: '1' }, 'count must be integer'],
  [{ name: 'a', 'a/b~c': 1 }, 'a/b~c must be a string'],
  [{ name: 'a', nam: 1 }, 'nam is not a known field'],
])('%o: %s', (value, message) => {
  expect(refusalOf(value)).toBe(message);
});

describe('never', () => {
  test('repeats a value, where a credential may stand', () => {
    expect(refusalOf({ name: { secret: 'tk_canary' } })).not.toContain('tk_canary');
  });

  test('answers with a name of any length', () => {
    expect(refusalOf({ name: 'a', ['x'.repeat(5000)]: 1 })?.length).toBeLessThan(200);
  });

  test('coerces, fills in or removes', () => {
    expect(refusalOf({ name: 'a', cap: true })).not.toBeNull();
    expect(toBigint(5)).toBe(5n);
  });
});

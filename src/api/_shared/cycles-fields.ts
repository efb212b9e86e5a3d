import Type, { type TObject, type TProperties, type TUnsafe } from 'typebox';
import { parseRfc3339 } from '../../core/rfc3339.ts';
import { JsonObject } from './validation.ts';

/** Largest amount of the ledger and of the wire: int64. */
const MAX_INT64 = 2n ** 63n - 1n;

/** What completes "must be ..." in the refusal of a value. */
const rule = (text: string): { readonly rule: string } => ({ rule: text });

/** An object that has no other fields than `properties`. With a title the document keeps it once. */
export const closed = <P extends TProperties>(properties: P, title?: string): TObject<P> =>
  Type.Object(properties, { ...rule('an object'), additionalProperties: false, ...(title === undefined ? {} : { title }) });

/** A string of `min` to `max` characters. */
export function text(limits: { readonly min?: number; readonly max?: number } = {}) {
  const { min, max } = limits;
  const words = max === undefined ? 'a string' : `a string of ${min === undefined ? 'at most' : `${min} to`} ${max} characters`;
  return Type.String({
    ...rule(words),
    ...(min === undefined ? {} : { minLength: min }),
    ...(max === undefined ? {} : { maxLength: max }),
  });
}

/** A string that `pattern` describes and `words` tells. */
export const patterned = (pattern: string, words: string, limits: { readonly minLength?: number; readonly maxLength?: number } = {}) =>
  Type.String({ ...rule(words), pattern, ...limits });

/** One of `values`. */
export const oneOf = <const V extends readonly string[]>(values: V) =>
  Type.Unsafe<V[number]>(Type.String({ enum: values, ...rule(values.length === 1 ? (values[0] ?? '') : `one of ${values.join(', ')}`) }));

/** A list of what `item` describes. */
export const listOf = <T extends Parameters<typeof Type.Array>[0]>(
  item: T,
  words: string,
  limits: { readonly minItems?: number; readonly maxItems?: number } = {},
) => Type.Array(item, { ...rule(words), ...limits });

/** A list of strings. */
export const Texts = listOf(Type.String(rule('a string')), 'a list of strings');

/** true or false. */
export const Flag = Type.Boolean(rule('true or false'));

/** A whole number from `min` to `max`, which a double holds; without `max`, as far as doubles hold whole numbers. */
export function whole(min: number, max?: number) {
  const limit = max ?? Number.MAX_SAFE_INTEGER;
  const words = `a whole number from ${min} to ${limit}`;
  if (max !== undefined) return Type.Integer({ ...rule(words), minimum: min, maximum: max });
  return Type.Refine(
    Type.Unsafe<number>({ documentAs: { type: 'integer', minimum: min }, ...rule(words) }),
    (value) => Number.isSafeInteger(value) && value >= min,
    () => `must be ${words}`,
  );
}

/** A number from `min` to `max`. */
export const number = (min: number, max: number) =>
  Type.Number({ ...rule(`a number from ${min} to ${max}`), format: 'double', minimum: min, maximum: max });

/** A ratio or rate of an answer. */
export const Ratio = Type.Number({ format: 'double' });

/** A whole number of an answer whose size a double holds, such as a status or a count. */
export const Count = Type.Integer();

/** Whole numbers from `min` over the whole range of 64 bits, in all their digits. `format` is what the document says beside integer. */
function int64From(min: bigint | null, format: { readonly format?: 'int64' }): TUnsafe<number | bigint> {
  const low = min ?? -MAX_INT64 - 1n;
  const words = `a whole number from ${low} to ${MAX_INT64}`;
  const documentAs = { type: 'integer', ...format, ...(min === null ? {} : { minimum: Number(min) }) };
  return Type.Refine(
    Type.Unsafe<number | bigint>({ documentAs, ...rule(words) }),
    (value) => {
      if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) return false;
      return value >= low && value <= MAX_INT64;
    },
    () => `must be ${words}`,
  );
}

/** A whole number of 64 bits. */
export const SignedInt64 = int64From(null, { format: 'int64' });

/** A whole number of 64 bits that is not negative. */
export const UnsignedInt64 = int64From(0n, { format: 'int64' });

/** The same where the document names no size, such as a count of tokens. */
export const LongCount = int64From(0n, {});

/** A whole number of 64 bits where the document names no size. */
export const LongInteger = int64From(null, {});

/** A moment in RFC 3339. */
export const Moment = Type.Refine(
  Type.Unsafe<string>({
    documentAs: { type: 'string', format: 'date-time' },
    ...rule('an RFC 3339 timestamp such as 2026-12-31T23:59:59Z'),
  }),
  (value) => typeof value === 'string' && parseRfc3339(value) !== null,
  () => 'must be an RFC 3339 timestamp',
);

/** Whatever its maker wants to keep with a thing, such as `{"team": "billing"}`. */
export const Metadata = JsonObject;

/** An object whose values are strings. */
export const textMap = (limits: { readonly maxProperties?: number; readonly maxLength?: number } = {}) => {
  const { maxProperties, maxLength } = limits;
  const size = maxLength === undefined ? '' : ` of at most ${maxLength} characters`;
  const values = Type.String({ ...rule(`a string${size}`), ...(maxLength === undefined ? {} : { maxLength }) });
  return Type.Unsafe<Readonly<Record<string, string>>>(
    Type.Object(
      {},
      {
        additionalProperties: values,
        ...rule(`an object of ${maxProperties === undefined ? '' : `at most ${maxProperties} `}strings${size}`),
        ...(maxProperties === undefined ? {} : { maxProperties }),
      },
    ),
  );
};

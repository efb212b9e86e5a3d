import Type, { type TSchema } from 'typebox';
// Not `typebox/compile`: that brings three hundred modules for conversions that are never done here, a tenth of the time of a start.
import { Compile, type Validator } from 'typebox/schema';
import { RefusedRequest, type Problem } from './problem.ts';

/** Keyword of our schemas: the rule of a value in words that complete "must be ...", shown instead of the validator's own. */
const RULE = 'rule';

// `documentAs` below is what the API's document shows in the place of a check that is code.

/** A whole number with all its digits, as the JSON reader gives it. The range is the decision's to check, so that one place names it. */
export const Int64 = Type.Refine(
  Type.Unsafe<number | bigint>({ documentAs: { type: 'integer', format: 'int64' } }),
  (value) => typeof value === 'bigint' || Number.isSafeInteger(value),
  () => 'must be a whole number',
);

/** The exact value of an {@link Int64}. */
export const toBigint = (value: number | bigint): bigint => BigInt(value);

/** A JSON object that is none of the other things that JavaScript calls objects. */
export const JsonObject = Type.Refine(
  Type.Unsafe<Readonly<Record<string, unknown>>>({ documentAs: { type: 'object' } }),
  (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  () => 'must be an object',
);

type Checked = { value: unknown } | { error: Error };

/**
 * Compiles the schema of one part of a request for Fastify. The value is only looked at: nothing is coerced, filled in or removed.
 *
 * What breaks a rule is refused with `invalid_request`, naming the first field that does, and the rule.
 */
export function compileValidator(route: { readonly schema: unknown }): (value: unknown) => Checked {
  const schema = route.schema as TSchema;
  let compiled: Validator | null = null;
  return (value) => {
    // At the first request: few routes of many are ever used by one process.
    const validator = (compiled ??= Compile(schema));
    if (validator.Check(value)) return { value };
    const [, errors] = validator.Errors(value);
    return { error: new RefusedRequest(describe(schema, value, errors[0])) };
  };
}

interface ValidationError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly message: string;
  readonly params: object;
}

function describe(schema: TSchema, value: unknown, error: ValidationError | undefined): Problem {
  const segments = pathSegments(error?.instancePath ?? '');
  if (error === undefined || (segments.length === 0 && (typeof value !== 'object' || value === null || Array.isArray(value)))) {
    return { code: 'invalid_request', message: 'the body must be a JSON object' };
  }
  const { requiredProperties } = error.params as { requiredProperties?: readonly string[] };
  if (requiredProperties !== undefined) {
    const missing = requiredProperties.find((name) => !isGiven(value, [...segments, name])) ?? requiredProperties[0] ?? '';
    const field = fieldName([...segments, missing]);
    return { code: 'invalid_request', message: `${field} is required`, field };
  }
  const field = fieldName(segments);
  if (error.keyword === 'boolean') return { code: 'invalid_request', message: `${field} is not a known field`, field };
  const rule = ruleAt(schema, segments);
  return { code: 'invalid_request', message: rule === null ? `${field} ${error.message}` : `${field} must be ${rule}`, field };
}

/** The segments of a JSON pointer. */
const pathSegments = (pointer: string): string[] =>
  pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));

const fieldName = (segments: readonly string[]): string => segments.join('.').slice(0, 100);

function isGiven(value: unknown, segments: readonly string[]): boolean {
  let inner: unknown = value;
  for (const segment of segments) {
    if (typeof inner !== 'object' || inner === null || !Object.hasOwn(inner, segment)) return false;
    inner = (inner as Record<string, unknown>)[segment];
  }
  return true;
}

/** The rule in words that stands nearest above the value, or null. */
function ruleAt(schema: TSchema, segments: readonly string[]): string | null {
  let node: unknown = schema;
  let rule: string | null = null;
  for (const segment of segments) {
    node = innerSchema(node as InnerSchemas, segment);
    if (typeof node !== 'object' || node === null) break;
    const own = (node as Record<string, unknown>)[RULE];
    if (typeof own === 'string') rule = own;
  }
  return rule;
}

/** Where a schema keeps those of what a value holds. */
interface InnerSchemas {
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly items?: unknown;
  readonly additionalProperties?: unknown;
  readonly anyOf?: readonly InnerSchemas[];
}

/** The schema of one field or item; of several alternatives, the first that knows it. */
function innerSchema({ properties, items, additionalProperties, anyOf = [] }: InnerSchemas, segment: string): unknown {
  return (
    properties?.[segment] ??
    items ??
    additionalProperties ??
    anyOf.map((each) => innerSchema(each, segment)).find((each) => each !== undefined)
  );
}

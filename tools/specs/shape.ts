/** A JSON object as a document holds it. */
export type Json = Readonly<Record<string, unknown>>;

/** Where a document keeps what it refers to. */
export type Components = Readonly<Record<string, Json>>;

/** Whether a message goes to the server or comes from it: what may only be read or only be written stands in one of them. */
export type Direction = 'request' | 'answer';

/** Keywords that bound a value, compared one by one. */
const LIMITS = [
  'format',
  'pattern',
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'uniqueItems',
  'minProperties',
  'maxProperties',
] as const;

/** What a schema says, whatever its author's way of writing it. */
export interface Shape {
  /** The name of the component that it is; null for a schema that stands where it is used. */
  readonly name: string | null;
  /** Sorted; empty where any type goes. */
  readonly types: readonly string[];
  /** Sorted; null where the values are not told one by one. */
  readonly values: readonly string[] | null;
  /** Keyword and value, those given only. */
  readonly limits: Readonly<Record<string, string>>;
  readonly required: readonly string[];
  readonly properties: Readonly<Record<string, Json>>;
  /** What fields beside the properties may be: anything, nothing, or what a schema says. */
  readonly others: 'open' | 'closed' | Json;
  readonly items: Json | null;
  /** Other forms of the value, where it has several. */
  readonly alternatives: readonly Json[];
}

export const isJson = (value: unknown): value is Json => typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value of a keyword in words, the same for the same value. */
const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

const texts = (value: unknown): string[] => (Array.isArray(value) ? value.map(textOf) : value === undefined ? [] : [textOf(value)]);
const schemas = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isJson) : []);

/** What a reference stands for, through references to references; throws where there is no such component. */
export function resolve(schema: Json, components: Components): { readonly schema: Json; readonly name: string | null } {
  let name: string | null = null;
  let current = schema;
  for (let depth = 0; typeof current['$ref'] === 'string'; depth += 1) {
    name = current['$ref'].slice(current['$ref'].lastIndexOf('/') + 1);
    const target = components[name];
    if (target === undefined || depth > 100) throw new Error(`${String(current['$ref'])} leads nowhere`);
    current = target;
  }
  return { schema: current, name };
}

/** One schema of those that must hold together: what `allOf` lists adds to the schema that it stands in, later ones to earlier ones. */
function wholeOf(schema: Json, components: Components): Json {
  const { allOf, ...own } = schema;
  const parts = schemas(allOf).map((part) => wholeOf(resolve(part, components).schema, components));
  return parts.reduce<Json>(
    (all, part) => ({
      ...all,
      ...part,
      properties: { ...(all['properties'] as Json | undefined), ...(part['properties'] as Json | undefined) },
      required: [...texts(all['required']), ...texts(part['required'])],
    }),
    own,
  );
}

/** An alternative that names required fields and nothing else bounds the object that it stands in; it is no form of its own. */
const isBareRequirement = (schema: Json): boolean => Object.keys(schema).every((keyword) => keyword === 'required');

/** What fields beside the named ones may be. A pattern that every name fits says the same as `additionalProperties`. */
function othersOf(schema: Json): Shape['others'] {
  const patterns = Object.entries((schema['patternProperties'] ?? {}) as Json);
  const [every] = patterns.filter(([pattern, inner]) => pattern === '^.*$' && isJson(inner));
  if (every !== undefined) return every[1] as Json;
  const others = schema['additionalProperties'];
  if (others === false) return 'closed';
  return isJson(others) && Object.keys(others).length > 0 ? others : 'open';
}

/** Reads a schema of a document. */
export function shapeOf(given: Json, components: Components): Shape {
  const { schema: raw, name } = resolve(given, components);
  const schema = wholeOf(raw, components);
  const forms = [...schemas(schema['anyOf']), ...schemas(schema['oneOf'])];
  const bare = forms.filter(isBareRequirement);
  const values = schema['const'] === undefined ? schema['enum'] : [schema['const']];
  const limits = LIMITS.filter((limit) => schema[limit] !== undefined).map((limit) => [limit, textOf(schema[limit])] as const);
  const oneOfFields = bare.map((each) => texts(each['required']).join('+')).toSorted();
  return {
    name,
    types: texts(schema['type']).toSorted(),
    values: values === undefined ? null : texts(values).toSorted(),
    limits: { ...Object.fromEntries(limits), ...(bare.length === 0 ? {} : { 'at least one of': oneOfFields.join(', ') }) },
    required: [...new Set(texts(schema['required']))].toSorted(),
    properties: Object.fromEntries(Object.entries((schema['properties'] ?? {}) as Json).filter(([, value]) => isJson(value))) as Record<
      string,
      Json
    >,
    others: othersOf(schema),
    items: isJson(schema['items']) ? schema['items'] : null,
    alternatives: forms.filter((form) => !isBareRequirement(form)),
  };
}

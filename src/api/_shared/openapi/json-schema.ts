/** A JSON Schema as the document holds it. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** Keywords of ours that the document does not show as they are. */
const OWN_KEYWORDS: ReadonlySet<string> = new Set(['rule', 'documentAs', 'documentWith', 'title']);

/** Rules that only say what the type says already. */
const SAID_BY_TYPE: ReadonlySet<string> = new Set([
  'a whole number',
  'a whole number that is at least 0',
  'a whole number, or null',
  'a string',
  'a string, or null',
  'true or false',
  'a list of strings',
  'an object',
]);

const isObject = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Turns the schemas that validate into those of the document.
 *
 * What has a title is kept once, in `components`, and referred to. Types of ours become what they are on the wire: a `bigint` is an
 * integer of 64 bits, `documentAs` stands for checks that are code and `documentWith` for those beside the schema's own. The words of a rule become a description. Throws where two different
 * schemas have one title.
 */
export function makeSchemaWriter(): {
  readonly components: Readonly<Record<string, JsonSchema>>;
  readonly write: (schema: unknown) => JsonSchema;
} {
  const components: Record<string, JsonSchema> = {};

  const write = (schema: unknown): JsonSchema => {
    if (!isObject(schema)) return {};
    const { title } = schema;
    if (typeof title !== 'string') return body(schema);
    const written = body(schema);
    const known = components[title];
    if (known !== undefined && JSON.stringify(known) !== JSON.stringify(written)) throw new Error(`two schemas are called ${title}`);
    components[title] = written;
    return { $ref: `#/components/schemas/${title}` };
  };

  const body = (schema: JsonSchema): JsonSchema => {
    const { rule, documentAs } = schema;
    if (isObject(documentAs)) return { ...documentAs, ...describe(schema, null) };
    const out: Record<string, unknown> = { ...describe(schema, rule) };
    for (const [keyword, value] of Object.entries(schema)) {
      if (OWN_KEYWORDS.has(keyword) || keyword === 'description') continue;
      out[keyword] = writeKeyword(keyword, value);
    }
    if (isObject(schema['documentWith'])) Object.assign(out, schema['documentWith']);
    if (out['type'] === 'bigint') Object.assign(out, { type: 'integer', format: 'int64' });
    return collapse(out);
  };

  const writeKeyword = (keyword: string, value: unknown): unknown => {
    if ((keyword === 'properties' || keyword === 'patternProperties') && isObject(value))
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, write(inner)]));
    if (Array.isArray(value) && ['anyOf', 'oneOf', 'allOf'].includes(keyword)) return value.map(write);
    if ((keyword === 'items' || keyword === 'additionalProperties') && isObject(value)) return write(value);
    return value;
  };

  return { components, write };
}

const describe = (schema: JsonSchema, rule: unknown): JsonSchema => {
  if (typeof schema['description'] === 'string') return { description: schema['description'] };
  return typeof rule === 'string' && !SAID_BY_TYPE.has(rule) ? { description: `Must be ${rule}.` } : {};
};

/** Alternatives that are constants read better as a list of values; one that may be null, as a type that may be. */
function collapse(schema: Record<string, unknown>): JsonSchema {
  const { anyOf, ...rest } = schema;
  if (!Array.isArray(anyOf)) return schema;
  const options = anyOf as readonly JsonSchema[];
  if (options.every(({ const: value, type }) => value !== undefined && type === 'string'))
    return { ...rest, type: 'string', enum: options.map(({ const: value }) => value) };
  const [only, ...others] = options.filter(({ type }) => type !== 'null');
  const isNullable = others.length === 0 && options.length === 2;
  if (!isNullable || typeof only?.['type'] !== 'string') return schema;
  return { ...only, ...rest, type: [only['type'], 'null'] };
}

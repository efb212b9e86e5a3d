import type { JsonSchema } from '../_shared/openapi/json-schema.ts';
import { html, prose, type Html } from '../_shared/html.ts';

const REF_PREFIX = '#/components/schemas/';

const isSchema = (value: unknown): value is JsonSchema => typeof value === 'object' && value !== null && !Array.isArray(value);
const schemasIn = (value: unknown): JsonSchema[] => (Array.isArray(value) ? value.filter(isSchema) : []);

/** The name of the component that a schema refers to; null where it is none. */
const referred = (schema: JsonSchema): string | null => {
  const { $ref } = schema;
  return typeof $ref === 'string' ? $ref.slice(REF_PREFIX.length) : null;
};

const linkTo = (name: string): Html => html`<a href="#schema-${name}">${name}</a>`;

/** The type of a value in a few words, named ones as links. */
export function typeOf(schema: JsonSchema): Html {
  const name = referred(schema);
  if (name !== null) return linkTo(name);
  if (schema['const'] !== undefined) return html`<code>${JSON.stringify(schema['const'])}</code>`;
  if (Array.isArray(schema['enum'])) return joined(schema['enum'].map((value) => html`<code>${JSON.stringify(value)}</code>`));
  const options = schemasIn(schema['anyOf']);
  if (options.length > 0) return joined(options.map(typeOf));
  if (isSchema(schema['items'])) return html`list of ${typeOf(schema['items'])}`;
  const pattern = Object.values(isSchema(schema['patternProperties']) ? schema['patternProperties'] : {})[0];
  if (isSchema(pattern)) return html`object of ${typeOf(pattern)} by name`;
  const { type, format } = schema;
  const types = Array.isArray(type) ? type.join(' or ') : typeof type === 'string' ? type : 'anything';
  return html`${typeof format === 'string' ? `${types} (${format})` : types}`;
}

const joined = (parts: readonly Html[]): Html => ({ html: parts.map((part) => part.html).join(' or ') });

/** What bounds a value, in words. */
function boundsOf(schema: JsonSchema): string {
  const words: string[] = [];
  const add = (keyword: string, word: string): void => {
    const value = schema[keyword];
    if (typeof value === 'number' || typeof value === 'string') words.push(`${word} ${value}`);
  };
  add('minimum', 'at least');
  add('maximum', 'at most');
  add('minLength', 'length at least');
  add('maxLength', 'length at most');
  add('minItems', 'items at least');
  add('default', 'default');
  return words.join(', ');
}

/** The schema itself, or the one thing in it that has fields: the alternative that is no null, the item of a list. */
function withFields(schema: JsonSchema): JsonSchema | null {
  if (isSchema(schema['properties'])) return schema;
  const inner = [...schemasIn(schema['anyOf']), ...[schema['items']].filter(isSchema)];
  const patterns = isSchema(schema['patternProperties']) ? Object.values(schema['patternProperties']).filter(isSchema) : [];
  return [...inner, ...patterns].map(withFields).find((each) => each !== null) ?? null;
}

/** A schema for readers: its type, what bounds it, and its fields with theirs. */
export function schemaView(schema: JsonSchema): Html {
  const fields = withFields(schema);
  const description = schema['description'];
  return html`<p class="type">
      ${typeOf(schema)}${typeof description === 'string' ? html` <span class="note">${prose(description)}</span>` : null}
    </p>
    ${fields === null ? null : fieldList(fields)}`;
}

function fieldList(schema: JsonSchema): Html {
  const properties = isSchema(schema['properties']) ? schema['properties'] : {};
  const required = Array.isArray(schema['required']) ? (schema['required'] as readonly unknown[]) : [];
  const entries = Object.entries(properties).filter((entry): entry is [string, JsonSchema] => isSchema(entry[1]));
  if (entries.length === 0) return html``;
  return html`<ul class="fields">
    ${entries.map(([name, field]) => fieldView(name, { field, isRequired: required.includes(name) }))}
  </ul>`;
}

function fieldView(name: string, { field, isRequired }: { readonly field: JsonSchema; readonly isRequired: boolean }): Html {
  const bounds = boundsOf(field);
  const description = field['description'];
  const inner = referred(field) === null ? withFields(field) : null;
  return html`<li>
    <code class="name">${name}</code> <span class="type">${typeOf(field)}</span>${
      isRequired ? null : html` <span class="optional">optional</span>`
    }${bounds === '' ? null : html` <span class="note">${bounds}</span>`}
    ${typeof description === 'string' ? html`<span class="note">${prose(description)}</span>` : null}
    ${inner === null ? null : fieldList(inner)}
  </li>`;
}

/** The names of all components that a part of the document refers to, those behind them included, ordered. */
export function componentsOf(part: unknown, components: Readonly<Record<string, JsonSchema>>): string[] {
  const found = new Set<string>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (!isSchema(value)) return;
    const name = referred(value);
    if (name !== null && !found.has(name)) {
      found.add(name);
      visit(components[name]);
    }
    Object.values(value).forEach(visit);
  };
  visit(part);
  return [...found].toSorted();
}

/** A value that fits a schema, with what is required only. */
export function exampleOf(schema: JsonSchema, components: Readonly<Record<string, JsonSchema>>): unknown {
  const name = referred(schema);
  if (name !== null) return exampleOf(components[name] ?? {}, components);
  const { const: fixed, enum: values, type, properties, required } = schema;
  if (fixed !== undefined) return fixed;
  if (Array.isArray(values)) return values[0];
  const [option] = schemasIn(schema['anyOf']);
  if (option !== undefined) return exampleOf(option, components);
  if (isSchema(properties)) {
    const names = Array.isArray(required) ? (required as readonly string[]) : [];
    return Object.fromEntries(names.map((field) => [field, exampleOf((properties[field] ?? {}) as JsonSchema, components)]));
  }
  if (isSchema(schema['items'])) return [exampleOf(schema['items'], components)];
  switch (Array.isArray(type) ? type[0] : type) {
    case 'string':
      return schema['format'] === 'date-time' ? '2026-12-31T23:59:59Z' : 'text';
    case 'integer':
    case 'number':
      return 1;
    case 'boolean':
      return true;
    default:
      return {};
  }
}

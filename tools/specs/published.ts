import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { isJson, resolve, type Components, type Json } from './shape.ts';

/** One parameter of an operation. */
export interface ComparedParameter {
  readonly required: boolean;
  readonly commaSeparated: boolean;
  readonly schema: Json;
}

/** One operation of a document, as far as it is compared. */
export interface ComparedOperation {
  readonly id: string;
  /** By place and name, such as `query limit`. */
  readonly parameters: Readonly<Record<string, ComparedParameter>>;
  readonly body: { readonly required: boolean; readonly schema: Json } | null;
  /** By status; null for an answer without a body. */
  readonly answers: Readonly<Record<string, Json | null>>;
  /** Headers that let a request in, any one of them; sorted. */
  readonly credentials: readonly string[];
}

/** A document: its operations by method and path, such as `GET /v1/balances`, and what they refer to. */
export interface ComparedDocument {
  readonly operations: Readonly<Record<string, ComparedOperation>>;
  readonly schemas: Components;
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];

const part = (value: unknown, name: string): Json => {
  const inner = isJson(value) ? value[name] : undefined;
  return isJson(inner) ? inner : {};
};

const list = (value: unknown): Json[] => (Array.isArray(value) ? value.filter(isJson) : []);

/** The schema of a body in JSON; null where there is none. */
function jsonSchema(message: Json): Json | null {
  const { schema } = part(message['content'], 'application/json');
  return isJson(schema) ? schema : null;
}

function readParameters(given: readonly Json[], components: Json): Record<string, ComparedParameter> {
  const parameters = given.map((each) => resolve(each, part(components, 'parameters') as Components).schema);
  return Object.fromEntries(
    parameters.map((parameter) => [
      `${String(parameter['in'])} ${String(parameter['name'])}`,
      {
        required: parameter['required'] === true,
        commaSeparated: parameter['explode'] === false,
        schema: part(parameter, 'schema'),
      },
    ]),
  );
}

function readCredentials(security: unknown, components: Json): string[] {
  const schemes = part(components, 'securitySchemes');
  return list(security)
    .flatMap((each) => Object.keys(each))
    .map((name) => {
      const header = part(schemes, name)['name'];
      return typeof header === 'string' ? header : name;
    })
    .toSorted();
}

function readOperation(raw: Json, context: { readonly document: Json; readonly shared: readonly Json[] }): ComparedOperation {
  const components = part(context.document, 'components');
  const body = isJson(raw['requestBody']) ? raw['requestBody'] : null;
  const answers = Object.entries(part(raw, 'responses')).map(([status, answer]) => {
    const { schema } = resolve(isJson(answer) ? answer : {}, part(components, 'responses') as Components);
    return [status, jsonSchema(schema)] as const;
  });
  return {
    id: String(raw['operationId']),
    parameters: readParameters([...context.shared, ...list(raw['parameters'])], components),
    body: body === null ? null : { required: body['required'] === true, schema: jsonSchema(body) ?? {} },
    answers: Object.fromEntries(answers),
    credentials: readCredentials(raw['security'] ?? context.document['security'], components),
  };
}

/** Reads an OpenAPI document that is given as a value. */
export function readDocument(document: Json): ComparedDocument {
  const operations = Object.entries(part(document, 'paths')).flatMap(([path, item]) =>
    METHODS.flatMap((method) => {
      const raw = isJson(item) ? item[method] : undefined;
      if (!isJson(raw)) return [];
      const shared = list((item as Json)['parameters']);
      return [[`${method.toUpperCase()} ${path}`, readOperation(raw, { document, shared })] as const];
    }),
  );
  return { operations: Object.fromEntries(operations), schemas: part(part(document, 'components'), 'schemas') as Components };
}

/** Reads a published document from a YAML file. */
export function readPublished(file: string): ComparedDocument {
  const document: unknown = parse(readFileSync(file, 'utf8'));
  if (!isJson(document) || !isJson(document['paths'])) throw new Error(`${file} is no OpenAPI document`);
  return readDocument(document);
}

import type { TSchema } from 'typebox';
import { makeSchemaWriter } from '../../src/api/_shared/openapi/json-schema.ts';
import type { Answer, Operation, Operations, Parameter, SecurityScheme } from '../../src/api/_shared/openapi/operation.ts';
import type { ComparedDocument, ComparedOperation, ComparedParameter } from './published.ts';
import type { Json } from './shape.ts';

/** What is described of a surface, as far as it is compared. */
export interface DescribedPlane {
  readonly operations: Operations;
  readonly security: readonly SecurityScheme[];
  readonly error: TSchema;
  /** Statuses of errors that each operation may answer with beside its own. */
  readonly always: readonly number[];
}

const HEADERS: Readonly<Partial<Record<SecurityScheme, string>>> = { tenantKey: 'X-Cycles-API-Key', operatorKey: 'X-Admin-API-Key' };

type Write = (schema: unknown) => Json;

const parameterOf = ({ schema, required = false, commaSeparated = false }: Parameter, write: Write): ComparedParameter => ({
  required,
  commaSeparated,
  schema: write(schema),
});

function parametersOf(key: string, operation: Operation, write: Write): Record<string, ComparedParameter> {
  const path = Array.from(key.matchAll(/:(\w+)/g), ([, name = '']) => {
    const told = operation.path?.[name];
    const schema = typeof told === 'object' ? write(told.schema) : { type: 'string' };
    return [`path ${name}`, { required: true, commaSeparated: false, schema }] as const;
  });
  const others = (['query', 'headers'] as const).flatMap((place) =>
    Object.entries(operation[place] ?? {}).map(
      ([name, parameter]) => [`${place === 'query' ? 'query' : 'header'} ${name}`, parameterOf(parameter, write)] as const,
    ),
  );
  return Object.fromEntries([...path, ...others]);
}

/** A body that may be null may be left out. */
function bodyOf({ body }: Operation, write: Write): ComparedOperation['body'] {
  if (body === undefined) return null;
  const { anyOf } = body.schema as { readonly anyOf?: readonly Json[] };
  const given = anyOf?.filter(({ type }) => type !== 'null') ?? [];
  const isOptional = anyOf !== undefined && given.length < anyOf.length;
  return { required: !isOptional, schema: write(isOptional && given.length === 1 ? given[0] : body.schema) };
}

function answersOf(operation: Operation, plane: DescribedPlane, write: Write): Record<string, Json | null> {
  const errors = [...plane.always, ...(operation.errors ?? [])].map((status) => [String(status), write(plane.error)] as const);
  const answers = Object.entries(operation.answers).map(([status, answer]) => {
    const { schema } = answer as Answer;
    return [status, schema === undefined ? null : write(schema)] as const;
  });
  return Object.fromEntries([...errors, ...answers]);
}

/** The document of a plane as our own descriptions make it. */
export function describedDocument(plane: DescribedPlane): ComparedDocument {
  const { components, write } = makeSchemaWriter();
  const operations = Object.entries(plane.operations).map(([key, operation]) => [
    key.replace(/:(\w+)/g, '{$1}'),
    {
      id: operation.id,
      parameters: parametersOf(key, operation, write),
      body: bodyOf(operation, write),
      answers: answersOf(operation, plane, write),
      credentials: (operation.security ?? plane.security).map((scheme) => HEADERS[scheme] ?? scheme).toSorted(),
    } satisfies ComparedOperation,
  ]);
  return { operations: Object.fromEntries(operations) as Record<string, ComparedOperation>, schemas: components };
}

/** Schemas of ours that stand for components of the published document which no operation refers to, by the components' names. */
export function describedComponents(schemas: readonly TSchema[]): {
  readonly named: Readonly<Record<string, Json>>;
  readonly schemas: Readonly<Record<string, Json>>;
} {
  const { components, write } = makeSchemaWriter();
  const named = schemas.map((schema) => [String((schema as Json)['title']), write(schema)] as const);
  return { named: Object.fromEntries(named), schemas: components };
}

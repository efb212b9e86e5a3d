import type { TSchema } from 'typebox';
import type { Answer, DocumentedSurface, Operation, Parameter, SecurityScheme } from './operation.ts';
import { makeSchemaWriter, type JsonSchema } from './json-schema.ts';

/** A route as it was mounted. */
export interface MountedRoute {
  readonly method: string;
  /** Fastify's pattern, such as `/v1/models/:id`. */
  readonly url: string;
  /** The schema that validates its body, where it has one. */
  readonly body: unknown;
  /** The listeners that serve it. */
  readonly listeners: readonly string[];
}

/** An OpenAPI 3.1 document. */
export interface OpenApiDocument {
  readonly openapi: '3.1.0';
  readonly info: Readonly<Record<string, unknown>>;
  readonly servers: readonly { readonly url: string; readonly description: string }[];
  readonly tags: readonly DocumentTag[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, DocumentOperation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, JsonSchema>>; readonly securitySchemes: JsonSchema };
}

/** A surface in the document. */
export interface DocumentTag {
  readonly name: string;
  readonly description: string;
  readonly 'x-title': string;
  readonly 'x-error-codes': readonly { readonly status: number; readonly code: string; readonly meaning: string }[];
}

/** An operation in the document. */
export interface DocumentOperation {
  readonly tags: readonly string[];
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly DocumentParameter[];
  readonly requestBody?: { readonly required: boolean; readonly description?: string; readonly content: Content };
  readonly responses: Readonly<Record<string, DocumentResponse>>;
  readonly 'x-listeners': readonly string[];
}

/** A parameter in the document. */
export interface DocumentParameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly description: string;
  readonly schema: JsonSchema;
  readonly style?: 'form';
  readonly explode?: false;
}

/** An answer in the document. */
export interface DocumentResponse {
  readonly description: string;
  readonly headers?: JsonSchema;
  readonly content?: Content;
}

type Content = Readonly<Record<string, { readonly schema: JsonSchema }>>;
type WriteSchema = (schema: unknown) => JsonSchema;

const SECURITY_SCHEMES: Readonly<Record<SecurityScheme, JsonSchema>> = {
  operatorKey: { type: 'apiKey', in: 'header', name: 'X-Admin-API-Key', description: 'The operator key.' },
  tenantKey: { type: 'apiKey', in: 'header', name: 'X-Cycles-API-Key', description: 'A key of a tenant, `cyc_live_...`.' },
  adminKey: { type: 'http', scheme: 'bearer', description: 'An admin key, `admin_...`, of a member with admin access.' },
  managementKey: { type: 'http', scheme: 'bearer', description: 'A management key, `mk_...`, of a member.' },
  inferenceKey: { type: 'http', scheme: 'bearer', description: 'An inference key, `tk_...`, or a management key, `mk_...`.' },
  inferenceApiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: "The same, as Anthropic's clients send it." },
  reportSignature: {
    type: 'apiKey',
    in: 'header',
    name: 'X-Tinfoil-Signature',
    description:
      "HMAC-SHA256 under the secret of a usage reporter, in lower-case hex, of six lines joined by newlines: the method, the path, the reporter's id, the timestamp, the nonce, and the SHA-256 of the body in lower-case hex.",
  },
  metricsToken: { type: 'http', scheme: 'bearer', description: 'The token that the configuration file declares for scrapers.' },
};

const ERROR_TEXTS: Readonly<Record<number, string>> = {
  400: 'The request breaks a rule; the message names the field and the rule.',
  401: 'No credential, or one that nobody has.',
  402: 'An account has too little left, or the tenant does not pay for this.',
  403: 'The credential is good but may not do this, or a page from elsewhere asked.',
  404: 'Nothing of that name is visible to this credential.',
  409: 'It is taken, its state does not allow this, or the configuration file declares it.',
  413: 'The body is larger than this server takes.',
  415: 'The body is not what the route takes (JSON in UTF-8, or the form that it asks for), sent without compression.',
  421: 'The request was meant for another host.',
  429: 'Too much at once, or used up until a window resets; `Retry-After` says when to try again.',
  500: 'A fault of ours.',
  502: 'The model could not be reached, or broke off.',
  503: 'The server is busy or cannot reach its database; nothing happened. Try again after `Retry-After`.',
  504: 'The model did not answer in time.',
};

/** The key of a route in the tables of operations. */
const operationKey = ({ method, url }: Pick<MountedRoute, 'method' | 'url'>): string => `${method} ${url}`;

/** The surface that a pattern belongs to: the one with the longest prefix of it. */
export function surfaceAt(surfaces: readonly DocumentedSurface[], url: string): DocumentedSurface | undefined {
  const fits = (prefix: string): boolean => url === prefix || url.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`);
  const longest = ({ prefixes }: DocumentedSurface): number => Math.max(0, ...prefixes.filter(fits).map(({ length }) => length));
  const [best] = surfaces.toSorted((a, b) => longest(b) - longest(a));
  return best !== undefined && longest(best) > 0 ? best : undefined;
}

/** What the tables and the routes disagree on, a sentence each that says what to do; empty where the document is whole. */
export function undocumented(routes: readonly MountedRoute[], surfaces: readonly DocumentedSurface[]): string[] {
  const mounted = new Set(routes.map(operationKey));
  const missing = routes.flatMap((route) => {
    const surface = surfaceAt(surfaces, route.url);
    if (surface === undefined) return [`${operationKey(route)} belongs to no surface: add its prefix to one in src/server/surfaces.ts`];
    const operation = surface.operations[operationKey(route)];
    if (operation !== undefined && operation.body !== undefined && route.body !== undefined && operation.body.schema !== route.body)
      return [`'${operationKey(route)}' validates its body by another schema than its description: use the same object`];
    if (operation !== undefined) return [];
    return [`'${operationKey(route)}' is mounted and not described: add it to the operations of the surface ${surface.id}`];
  });
  const stale = surfaces.flatMap(({ id, operations }) =>
    Object.keys(operations)
      .filter((key) => !mounted.has(key))
      .map((key) => `'${key}' is described by the surface ${id} and not mounted: take it out`),
  );
  return [...missing, ...stale];
}

/** Makes the document of the routes that are described. Which are not, {@link undocumented} tells. */
export function makeOpenApi(options: {
  readonly routes: readonly MountedRoute[];
  readonly surfaces: readonly DocumentedSurface[];
  readonly version: string;
}): OpenApiDocument {
  const { components, write } = makeSchemaWriter();
  const paths: Record<string, Record<string, DocumentOperation>> = {};
  for (const route of options.routes) {
    const surface = surfaceAt(options.surfaces, route.url);
    const operation = surface?.operations[operationKey(route)];
    if (surface === undefined || operation === undefined) continue;
    const path = (paths[documentPath(route.url, operation)] ??= {});
    path[route.method.toLowerCase()] = writeOperation(route, { surface, operation, write });
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Castellan',
      version: options.version,
      description: 'A self-hosted control plane for AI workloads: keys, budgets that hold, metered and priced model calls.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The listener that serves this document: the control plane.' }],
    tags: options.surfaces.map(({ id, title, description, errors }) => ({
      name: id,
      description,
      'x-title': title,
      'x-error-codes': errors?.codes ?? [],
    })),
    paths,
    components: { schemas: components, securitySchemes: usedSchemes(paths) },
  };
}

/** The credentials that some operation takes. */
function usedSchemes(paths: OpenApiDocument['paths']): JsonSchema {
  const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
  const used = new Set(operations.flatMap(({ security }) => security.flatMap((each) => Object.keys(each))));
  return Object.fromEntries(Object.entries(SECURITY_SCHEMES).filter(([name]) => used.has(name)));
}

const documentPath = (url: string, { wildcard = 'rest' }: Operation): string =>
  url.replace(/:([A-Za-z]\w*)/g, '{$1}').replace(/\*$/, `{${wildcard}}`);

interface OperationContext {
  readonly surface: DocumentedSurface;
  readonly operation: Operation;
  readonly write: WriteSchema;
}

function writeOperation(route: MountedRoute, context: OperationContext): DocumentOperation {
  const { surface, operation, write } = context;
  const parameters = [
    ...pathParameters(route.url, { operation, write }),
    ...Object.entries(operation.query ?? {}).map(([name, parameter]) => writeParameter('query', name, { parameter, write })),
    ...Object.entries(operation.headers ?? {}).map(([name, parameter]) => writeParameter('header', name, { parameter, write })),
  ];
  const body = route.body === undefined ? operation.body : { schema: route.body as TSchema };
  return {
    tags: [surface.id],
    operationId: operationId(surface, operation),
    summary: operation.summary,
    ...(operation.description === undefined ? {} : { description: operation.description }),
    security: writeSecurity(operation.security ?? surface.security),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: writeBody(body, write) }),
    responses: writeResponses(context, body !== undefined),
    'x-listeners': route.listeners,
  };
}

const operationId = ({ idPrefix }: DocumentedSurface, { id }: Operation): string =>
  idPrefix === undefined ? id : `${idPrefix}${id.charAt(0).toUpperCase()}${id.slice(1)}`;

/** Any one of them is enough; a list of one empty object says that none is needed. */
const writeSecurity = (schemes: readonly SecurityScheme[]): DocumentOperation['security'] =>
  schemes.length === 0 ? [{}] : schemes.map((scheme) => ({ [scheme]: [] }));

/** The parts of a path, in their order. */
function pathParameters(
  url: string,
  { operation, write }: { readonly operation: Operation; readonly write: WriteSchema },
): DocumentParameter[] {
  const names = Array.from(url.matchAll(/:([A-Za-z]\w*)/g), ([, name]) => name ?? '');
  if (url.endsWith('*')) names.push(operation.wildcard ?? 'rest');
  return names.map((name) => {
    const part = operation.path?.[name] ?? '';
    const { description, schema } = typeof part === 'string' ? { description: part, schema: { type: 'string' } } : part;
    return { name, in: 'path', required: true, description, schema: write(schema) };
  });
}

const writeParameter = (
  place: 'query' | 'header',
  name: string,
  { parameter, write }: { readonly parameter: Parameter; readonly write: WriteSchema },
): DocumentParameter => ({
  name,
  in: place,
  required: parameter.required ?? false,
  description: parameter.description,
  schema: write(parameter.schema),
  ...(parameter.commaSeparated === true ? { style: 'form', explode: false } : {}),
});

/** A body that may be null may be left out. */
function writeBody(body: NonNullable<Operation['body']>, write: WriteSchema): NonNullable<DocumentOperation['requestBody']> {
  const { anyOf } = body.schema as { readonly anyOf?: readonly TSchema[] };
  const isNull = (schema: TSchema): boolean => (schema as { readonly type?: unknown }).type === 'null';
  const given = anyOf?.filter((schema) => !isNull(schema)) ?? [];
  const isOptional = anyOf !== undefined && given.length < anyOf.length;
  const schema = isOptional && given.length === 1 ? given[0] : body.schema;
  return {
    required: !isOptional,
    ...(body.description === undefined ? {} : { description: body.description }),
    content: { [body.mediaType ?? 'application/json']: { schema: write(schema) } },
  };
}

function writeResponses({ surface, operation, write }: OperationContext, hasBody: boolean): DocumentOperation['responses'] {
  const responses: Record<string, DocumentResponse> = {};
  for (const [status, answers] of Object.entries(operation.answers)) responses[status] = writeAnswer(answers, write);
  const { errors } = surface;
  if (errors === null) return responses;
  const statuses = new Set([...errors.always, ...(operation.errors ?? []), ...(hasBody ? [400, 413, 415] : [])]);
  for (const status of [...statuses].toSorted((a, b) => a - b)) {
    responses[status] ??= {
      description: ERROR_TEXTS[status] ?? 'An error.',
      content: { 'application/json': { schema: write(errors.form) } },
    };
  }
  return responses;
}

function writeAnswer(answers: Answer | readonly Answer[], write: WriteSchema): DocumentResponse {
  const all: readonly Answer[] = Array.isArray(answers) ? (answers as readonly Answer[]) : [answers as Answer];
  const content = all.flatMap(({ schema, mediaType = 'application/json' }) =>
    schema === undefined ? [] : [[mediaType, { schema: write(schema) }] as const],
  );
  const headers = all.flatMap((answer) => Object.entries(answer.headers ?? {}));
  return {
    description: all.map(({ description }) => description).join(' '),
    ...(headers.length === 0
      ? {}
      : { headers: Object.fromEntries(headers.map(([name, description]) => [name, { description, schema: { type: 'string' } }])) }),
    ...(content.length === 0 ? {} : { content: Object.fromEntries(content) }),
  };
}

import Type, { type TSchema } from 'typebox';

/** One parameter that is not part of the path. */
export interface Parameter {
  readonly description: string;
  readonly schema: TSchema;
  readonly required?: boolean;
  /** Several values stand in it once, separated by commas, instead of the parameter coming several times. */
  readonly commaSeparated?: boolean;
}

/** One part of a path that is more than any string. */
export interface PathPart {
  readonly description: string;
  readonly schema: TSchema;
}

/** One answer that is no error. Without a schema it has no body. */
export interface Answer {
  readonly description: string;
  readonly schema?: TSchema;
  /** `application/json` where nothing is said. */
  readonly mediaType?: string;
  /** Headers that matter to a caller, with what they say. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * What is told about one route beside what its own schemas say. The schema of a body is the one that validates it; `body` is only for
 * routes that read their body by themselves.
 */
export interface Operation {
  /** A verb and a noun in camel case, such as `createTenant`; generated clients name their methods by it. */
  readonly id: string;
  /** A few words, an imperative, without a full stop. */
  readonly summary: string;
  /** Whole sentences: what the summary does not tell. */
  readonly description?: string;
  /** What each part of the path stands for; a `*` in the pattern is called by the name given as `wildcard`. */
  readonly path?: Readonly<Record<string, string | PathPart>>;
  readonly wildcard?: string;
  readonly query?: Readonly<Record<string, Parameter>>;
  readonly headers?: Readonly<Record<string, Parameter>>;
  readonly body?: { readonly description?: string; readonly schema: TSchema; readonly mediaType?: string };
  /** By status; at least one. Several bodies of one status, such as a stream, stand as a list. */
  readonly answers: Readonly<Record<number, Answer | readonly Answer[]>>;
  /** Statuses of errors, in the form of the surface, beyond those that each of its routes may answer. */
  readonly errors?: readonly number[];
  /** Where other credentials than those of the surface let a request in; empty: none is needed. */
  readonly security?: readonly SecurityScheme[];
}

/** The operations of a surface by method and pattern, such as `GET /v1/models`. */
export type Operations = Readonly<Record<string, Operation>>;

/** A code of the surface's errors: with which status it comes, and what it means. */
export interface ErrorCode {
  readonly status: number;
  readonly code: string;
  readonly meaning: string;
}

/** How a credential is sent. */
export type SecurityScheme =
  | 'operatorKey'
  | 'tenantKey'
  | 'adminKey'
  | 'managementKey'
  | 'inferenceKey'
  | 'inferenceApiKey'
  | 'reportSignature'
  | 'metricsToken';

/** What the document tells about a surface as a whole. */
export interface DocumentedSurface {
  /** One word, for labels and addresses. */
  readonly id: string;
  readonly title: string;
  readonly description: string;
  /** Stands before the ids of its operations in the document, where ids of its own protocol could be those of another surface. */
  readonly idPrefix?: string;
  /** Paths below these belong to it; the longest prefix wins. */
  readonly prefixes: readonly string[];
  readonly operations: Operations;
  /** Any one of these lets a request in; none where it needs no credential. */
  readonly security: readonly SecurityScheme[];
  /** The body of its errors, and the statuses that each of its routes may answer. Null where it has no errors of its own. */
  readonly errors: { readonly form: TSchema; readonly always: readonly number[]; readonly codes: readonly ErrorCode[] } | null;
}

/** A schema that the document keeps once, under its name. */
export const named = <T extends TSchema>(title: string, schema: T): T => ({ ...schema, title });

/** The object of an answer: its fields are always there. */
export const object = Type.Object;

/** A moment, RFC 3339, UTC. */
export const Timestamp = Type.String({ format: 'date-time' });

/** A whole number over the range of 64 bits; larger ones than 2^53 keep their digits on the wire. */
export const WholeNumber = Type.Integer({ format: 'int64' });

/** A value that may be null. */
export const orNull = <T extends TSchema>(schema: T, description?: string) =>
  Type.Union([schema, Type.Null()], description === undefined ? {} : { description });

import type { FastifyReply, FastifyRequest } from 'fastify';
import { Fault, type FaultCode } from '../../core/fault.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import type { Outcome, Rejection, RejectionCode } from '../../core/rejection.ts';
import type { Log } from '../../ports/log.ts';

/** What is wrong with a request before any surface understands it, or with us. The status is the same on every surface. */
export const TRANSPORT_STATUS = {
  bad_url: 400,
  bad_request: 400,
  malformed_body: 400,
  doubled_header: 400,
  foreign_origin: 403,
  route_not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  body_too_large: 413,
  unsupported_media_type: 415,
  misdirected: 421,
  too_many_requests: 429,
  internal: 500,
  upstream_failed: 502,
  upstream_timeout: 504,
  overloaded: 503,
  store_unavailable: 503,
} as const satisfies Record<FaultCode, number> & Record<string, number>;

/** A code of {@link TRANSPORT_STATUS}. */
export type TransportCode = keyof typeof TRANSPORT_STATUS;

/** Why a request gets an error, for a surface to put into its own form. `message` is for callers and holds no secret. */
export interface Problem {
  readonly code: RejectionCode | TransportCode;
  readonly message: string;
  readonly field?: string;
  readonly retryAfterMs?: number;
  /** Plain values that a surface may show beside the field. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Whose credential was not good enough, for the audit: never shown. */
  readonly about?: Rejection['about'] & object;
  /** The methods that the path takes, for a 405. */
  readonly allow?: readonly string[];
}

/** How a surface writes a problem: its status, its body and, where a credential is missing, how it wants one (`WWW-Authenticate`). */
export type ErrorForm = (
  problem: Problem,
  requestId: string,
  traceId?: string,
) => { readonly status: number; readonly body: object; readonly challenge?: string };

/** Thrown by hooks and readers of a request to answer it with a problem; the surface's error handler puts it into its form. */
export class RefusedRequest extends Error {
  override readonly name = 'RefusedRequest';
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

/** The problem that a refusal of the program is. */
const problemOfRejection = ({ code, message, field, details, about, retryAfterMs }: Rejection): Problem => ({
  code,
  message,
  ...(field === undefined ? {} : { field }),
  ...(details === undefined ? {} : { details }),
  ...(about === undefined ? {} : { about }),
  ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
});

/** The value of an outcome; a refusal is thrown to the surface's error handler. */
export function valueOf<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw new RefusedRequest(problemOfRejection(outcome.rejection));
}

const FRAMEWORK_PROBLEMS: Readonly<Record<string, Problem>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { code: 'body_too_large', message: 'the body is larger than this server takes' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: 'unsupported_media_type', message: 'the body must be sent with Content-Type: application/json' },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { code: 'bad_request', message: 'the body is not as long as Content-Length says' },
  FST_ERR_BAD_URL: { code: 'bad_url', message: 'the address holds a percent escape that stands for no character' },
  FST_ERR_MAX_PARAM_LENGTH: { code: 'route_not_found', message: 'there is nothing under this address' },
};

/** The problem behind whatever was thrown: a refusal, a fault of the outside world, the framework's own, else a fault of ours. */
export function problemOf(error: unknown): Problem {
  if (error instanceof RefusedRequest) return error.problem;
  if (error instanceof Fault) {
    return {
      code: error.code,
      message: error.publicMessage,
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    };
  }
  const { code, statusCode } = (error ?? {}) as { code?: unknown; statusCode?: unknown };
  const known = typeof code === 'string' ? FRAMEWORK_PROBLEMS[code] : undefined;
  if (known !== undefined) return known;
  // The framework's other refusals of a request; their texts may quote it, so none is passed on.
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return { code: 'bad_request', message: 'the request cannot be read' };
  return { code: 'internal', message: 'internal server error' };
}

/** Answers with a problem in a surface's form. */
export function sendProblem(reply: FastifyReply, form: ErrorForm, problem: Problem): FastifyReply {
  reply.request.problem = problem;
  const { status, body, challenge } = form(problem, reply.request.id, reply.request.trace?.traceId);
  reply.code(status).header('content-type', 'application/json; charset=utf-8').header('x-request-id', reply.request.id);
  if (status === 401 && challenge !== undefined) reply.header('www-authenticate', challenge);
  if (problem.allow !== undefined) reply.header('allow', problem.allow.join(', '));
  if (problem.retryAfterMs !== undefined) reply.header('retry-after', String(Math.max(1, Math.ceil(problem.retryAfterMs / 1000))));
  return reply.send(stringifyJson(body));
}

/** Makes the error handler of a surface. Faults and our own bugs are logged with the route's pattern, never with the request's address. */
export const makeErrorHandler =
  (options: { readonly form: ErrorForm; readonly log: Log }) =>
  (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const problem = problemOf(error);
    const { status } = options.form(problem, request.id);
    if (status >= 500) options.log.error({ err: error, requestId: request.id, route: request.routeOptions.url }, 'a request failed');
    return sendProblem(reply, options.form, problem);
  };

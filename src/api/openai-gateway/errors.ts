import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CallRefusal } from '../../app/calls/call-types.ts';
import type { CallFailureCode } from '../../core/calls/upstream-verdict.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import type { AccountSnapshot } from '../../core/ledger/account.ts';
import { rateHeaders } from '../../core/policy/rate-headers.ts';
import { REJECTIONS, type Rejection, type RejectionCode } from '../../core/rejection.ts';
import { problemOf, TRANSPORT_STATUS, type Problem, type TransportCode } from '../_shared/problem.ts';

/** An error in OpenAI's form, with the status and the headers it goes out with. `retry` tells the client's own retries what to do. */
export interface OpenAiError {
  readonly status: number;
  readonly message: string;
  readonly type: string;
  readonly param?: string | null;
  readonly code: string | null;
  readonly account?: Readonly<Record<string, string | bigint | null>>;
  readonly retry?: boolean;
  readonly retryAfterSeconds?: number | string;
  readonly allow?: string;
  /** How the limits of the call stand. */
  readonly rateHeaders?: Readonly<Record<string, string>>;
}

interface Form {
  readonly status: number;
  readonly type: string;
  /** OpenAI's own name of the code, where its clients know one. */
  readonly code?: string;
  readonly retry?: boolean;
}

const INVALID: Form = { status: 400, type: 'invalid_request_error' };
const USED_UP: Form = { status: 402, type: 'insufficient_quota', retry: false };
const FORBIDDEN: Form = { status: 403, type: 'permission_error' };
const CONFLICT: Form = { status: 409, type: 'invalid_request_error', retry: false };
const UNKNOWN: Form = { status: 404, type: 'invalid_request_error' };

/** What this surface makes of every refusal of the program. Source: architecture sections 8 and 12. */
const REJECTION_FORMS: Readonly<Record<RejectionCode, Form>> = {
  invalid_request: INVALID,
  unauthorized: { status: 401, type: 'invalid_request_error', code: 'invalid_api_key' },
  key_expired: { status: 401, type: 'invalid_request_error' },
  key_disabled: { status: 401, type: 'invalid_request_error' },
  forbidden: FORBIDDEN,
  not_found: UNKNOWN,
  conflict: CONFLICT,
  managed_by_file: CONFLICT,
  payment_required: USED_UP,
  key_limit_reached: FORBIDDEN,
  tenant_suspended: FORBIDDEN,
  tenant_closed: FORBIDDEN,
  budget_frozen: USED_UP,
  budget_closed: USED_UP,
  over_limit: USED_UP,
  debt_outstanding: USED_UP,
  budget_exceeded: USED_UP,
  cap_exceeded: USED_UP,
  balance_empty: USED_UP,
  window_exceeded: { status: 429, type: 'rate_limit_error', retry: false },
  held: { status: 429, type: 'rate_limit_error', retry: true },
  budget_required: USED_UP,
  budget_not_found: USED_UP,
  unit_mismatch: INVALID,
  reservation_not_found: UNKNOWN,
  reservation_finalized: CONFLICT,
  reservation_expired: CONFLICT,
  max_extensions_exceeded: CONFLICT,
  idempotency_mismatch: CONFLICT,
  amount_out_of_range: INVALID,
  model_not_found: UNKNOWN,
  stale_view: { status: 429, type: 'rate_limit_error', retry: true },
  model_unpriced: INVALID,
  no_upstream_left: INVALID,
  key_revoked: { status: 401, type: 'invalid_request_error' },
  insufficient_permissions: FORBIDDEN,
  invalid_transition: CONFLICT,
  already_in_state: CONFLICT,
  webhook_not_found: UNKNOWN,
  webhook_url_invalid: INVALID,
  event_not_found: UNKNOWN,
  replay_in_progress: CONFLICT,
  count_mismatch: CONFLICT,
  too_many_matches: INVALID,
  tenant_not_found: UNKNOWN,
  key_already_revoked: UNKNOWN,
  key_already_expired: UNKNOWN,
  rate_limited: { status: 429, type: 'rate_limit_error', retry: false },
};

const FAILURES: Readonly<Record<CallFailureCode, OpenAiError>> = {
  upstream_failed: {
    status: 502,
    type: 'api_error',
    code: 'upstream_failed',
    message: 'The model could not be reached, or broke off its answer.',
  },
  upstream_timeout: { status: 504, type: 'api_error', code: 'upstream_timeout', message: 'The model did not answer in time.' },
  upstream_rate_limited: {
    status: 429,
    type: 'rate_limit_error',
    code: 'upstream_rate_limited',
    message: 'The model takes no more requests at the moment.',
    retryAfterSeconds: 1,
  },
};

/** How a refused call is answered. `hideAmounts` keeps the figures of accounts out of it, in the message too. */
export function errorOfRefusal(refusal: CallRefusal, options: { readonly hideAmounts: boolean; readonly nowMs: number }): OpenAiError {
  const error = errorOfKind(refusal, options);
  const rates = refusal.kind === 'rejected' ? refusal.rejection.rates : refusal.rates;
  return rates === undefined ? error : { ...error, rateHeaders: rateHeaders(rates, { dialect: 'openai', nowMs: options.nowMs }) };
}

function errorOfKind(refusal: CallRefusal, options: { readonly hideAmounts: boolean; readonly nowMs: number }): OpenAiError {
  switch (refusal.kind) {
    case 'invalid':
      return { ...INVALID, ...refusal.defect };
    case 'rejected':
      return errorOfRejection(refusal.rejection, options);
    case 'failed': {
      const failure = FAILURES[refusal.code];
      return refusal.retryAfter === null ? failure : { ...failure, retryAfterSeconds: refusal.retryAfter };
    }
    case 'passed':
      return { status: refusal.status, ...refusal.error };
  }
}

/** How a refusal of the program is answered. */
export function errorOfRejection(rejection: Rejection, options: { readonly hideAmounts: boolean; readonly nowMs: number }): OpenAiError {
  const form = REJECTION_FORMS[rejection.code];
  const { account } = rejection;
  return {
    ...form,
    code: form.code ?? rejection.code,
    message: options.hideAmounts && account !== undefined ? REJECTIONS[rejection.code] : rejection.message,
    param: rejection.field ?? null,
    ...(account === undefined ? {} : { account: accountFields(account, options.hideAmounts) }),
    ...(rejection.rates === undefined ? {} : { retry: rejection.retryAfterMs !== undefined }),
    ...retryAfter(rejection, options.nowMs),
  };
}

function accountFields(account: AccountSnapshot, hideAmounts: boolean): NonNullable<OpenAiError['account']> {
  const { kind, scope, unit, rule, limit, spent, reserved, remaining } = account;
  const amounts = hideAmounts ? {} : { limit, spent, reserved, remaining };
  const resetsAt = account.resetsAtMs === null ? null : new Date(account.resetsAtMs).toISOString();
  return { kind, scope, unit, ...(rule === undefined ? {} : { rule }), ...amounts, resets_at: resetsAt };
}

function retryAfter({ code, account, retryAfterMs }: Rejection, nowMs: number): { readonly retryAfterSeconds?: number } {
  if (retryAfterMs !== undefined) return { retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / 1000)) };
  if (code === 'held') return { retryAfterSeconds: 1 };
  if (code !== 'window_exceeded' || account === undefined || account.resetsAtMs === null) return {};
  return { retryAfterSeconds: Math.max(1, Math.ceil((account.resetsAtMs - nowMs) / 1000)) };
}

const isTransport = (code: Problem['code']): code is TransportCode => code in TRANSPORT_STATUS;

/** How whatever was thrown is answered: our faults, Fastify's own refusals of a request, and our bugs. Never tells more than it should. */
export function errorOfThrown(error: unknown): OpenAiError {
  const { code, message, field, retryAfterMs } = problemOf(error);
  if (!isTransport(code)) return { ...REJECTION_FORMS[code], code: REJECTION_FORMS[code].code ?? code, message, param: field ?? null };
  const status = TRANSPORT_STATUS[code];
  const type = status === 500 ? 'server_error' : status > 500 ? 'api_error' : 'invalid_request_error';
  const seconds = retryAfterMs === undefined ? {} : { retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / 1000)) };
  return { status, type, code, message, param: field ?? null, ...seconds };
}

/** Sends an error in OpenAI's form. */
export function sendError(reply: FastifyReply, error: OpenAiError): FastifyReply {
  const { message, type, param = null, code, account } = error;
  reply.code(error.status).header('content-type', 'application/json; charset=utf-8').header('x-request-id', reply.request.id);
  if (error.status === 401) reply.header('www-authenticate', 'Bearer');
  if (error.retry !== undefined) reply.header('x-should-retry', String(error.retry));
  if (error.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.retryAfterSeconds));
  if (error.allow !== undefined) reply.header('allow', error.allow);
  if (error.rateHeaders !== undefined) reply.headers(error.rateHeaders);
  return reply.send(
    stringifyJson({ error: account === undefined ? { message, type, param, code } : { message, type, param, code, account } }),
  );
}

/** Answers 404 in OpenAI's form: for paths that this surface owns, and for unknown paths that come with a bearer credential. */
export const sendNotFound = (request: FastifyRequest, reply: FastifyReply): FastifyReply =>
  sendError(reply, { ...UNKNOWN, code: 'unknown_url', message: `There is nothing under this address for ${request.method}.` });

/** Answers 405 in OpenAI's form; `allow` lists what the path takes. */
export const sendMethodNotAllowed = (request: FastifyRequest, reply: FastifyReply, allow: string): FastifyReply =>
  sendError(reply, {
    ...INVALID,
    status: 405,
    code: 'method_not_allowed',
    message: `${request.method} is not allowed here; use ${allow}.`,
    allow,
  });

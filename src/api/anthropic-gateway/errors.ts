import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CallRefusal } from '../../app/calls/call-types.ts';
import type { CallFailureCode } from '../../core/calls/upstream-verdict.ts';
import { stringifyJson } from '../../core/json/int64.ts';
import type { AccountSnapshot } from '../../core/ledger/account.ts';
import { rateHeaders } from '../../core/policy/rate-headers.ts';
import { REJECTIONS, type Rejection, type RejectionCode } from '../../core/rejection.ts';
import { anthropicErrorType } from '../_shared/anthropic-form.ts';
import { problemOf, TRANSPORT_STATUS, type Problem, type TransportCode } from '../_shared/problem.ts';

/**
 * An error in Anthropic's form, with the status and the headers it goes out with; its type is that of the status. `code` and `account` are ours, beside what its clients read. `retry` tells the clients' own retries what to do.
 */
export interface AnthropicError {
  readonly status: number;
  readonly message: string;
  readonly code: string | null;
  readonly account?: Readonly<Record<string, string | bigint | null>>;
  readonly retry?: boolean;
  readonly retryAfterSeconds?: number | string;
  readonly allow?: string;
  /** How the limits of the call stand. */
  readonly rateHeaders?: Readonly<Record<string, string>>;
}

/** What is known of the moment and of what may be told. `hideAmounts` keeps the figures of accounts out of an error, its message too. */
interface RefusalOptions {
  readonly hideAmounts: boolean;
  readonly nowMs: number;
}

interface Form {
  readonly status: number;
  readonly retry?: boolean;
}

const INVALID: Form = { status: 400 };
const UNAUTHORIZED: Form = { status: 401 };
const USED_UP: Form = { status: 402, retry: false };
const FORBIDDEN: Form = { status: 403 };
const UNKNOWN: Form = { status: 404 };
const CONFLICT: Form = { status: 409, retry: false };

/** What this surface makes of every refusal of the program. Source: architecture sections 8 and 12. */
const REJECTION_FORMS: Readonly<Record<RejectionCode, Form>> = {
  invalid_request: INVALID,
  unauthorized: UNAUTHORIZED,
  key_expired: UNAUTHORIZED,
  key_disabled: UNAUTHORIZED,
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
  window_exceeded: { status: 429, retry: false },
  held: { status: 429, retry: true },
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
  stale_view: { status: 429, retry: true },
  model_unpriced: INVALID,
  no_upstream_left: INVALID,
  key_revoked: UNAUTHORIZED,
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
  rate_limited: { status: 429, retry: false },
};

const FAILURES: Readonly<Record<CallFailureCode, AnthropicError>> = {
  upstream_failed: { status: 502, code: 'upstream_failed', message: 'The model could not be reached, or broke off its answer.' },
  upstream_timeout: { status: 504, code: 'upstream_timeout', message: 'The model did not answer in time.' },
  upstream_rate_limited: {
    status: 429,
    code: 'upstream_rate_limited',
    message: 'The model takes no more requests at the moment.',
    retryAfterSeconds: 1,
  },
};

/** How a refused call is answered. */
export function errorOfRefusal(refusal: CallRefusal, options: RefusalOptions): AnthropicError {
  const error = errorOfKind(refusal, options);
  const rates = refusal.kind === 'rejected' ? refusal.rejection.rates : refusal.rates;
  return rates === undefined ? error : { ...error, rateHeaders: rateHeaders(rates, { dialect: 'anthropic', nowMs: options.nowMs }) };
}

function errorOfKind(refusal: CallRefusal, options: RefusalOptions): AnthropicError {
  switch (refusal.kind) {
    case 'invalid':
      return { ...INVALID, code: refusal.defect.code, message: refusal.defect.message };
    case 'rejected':
      return errorOfRejection(refusal.rejection, options);
    case 'failed': {
      const failure = FAILURES[refusal.code];
      return refusal.retryAfter === null ? failure : { ...failure, retryAfterSeconds: refusal.retryAfter };
    }
    case 'passed': {
      // Its type is not the upstream's: servers that speak both APIs may answer in the other one's form.
      const { message, code } = refusal.error;
      return { status: refusal.status, message, code };
    }
  }
}

function errorOfRejection(rejection: Rejection, { hideAmounts, nowMs }: RefusalOptions): AnthropicError {
  const { code, account } = rejection;
  return {
    ...REJECTION_FORMS[code],
    code,
    message: hideAmounts && account !== undefined ? REJECTIONS[code] : rejection.message,
    ...(account === undefined ? {} : { account: accountFields(account, hideAmounts) }),
    ...(rejection.rates === undefined ? {} : { retry: rejection.retryAfterMs !== undefined }),
    ...retryAfter(rejection, nowMs),
  };
}

function accountFields(account: AccountSnapshot, hideAmounts: boolean): NonNullable<AnthropicError['account']> {
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

/** How whatever was thrown is answered: refusals of hooks, our faults, Fastify's own refusals, and our bugs. Never tells more than it should. */
export function errorOfThrown(error: unknown): AnthropicError {
  const { code, message, retryAfterMs } = problemOf(error);
  if (!isTransport(code)) return { ...REJECTION_FORMS[code], code, message };
  const seconds = retryAfterMs === undefined ? {} : { retryAfterSeconds: Math.max(1, Math.ceil(retryAfterMs / 1000)) };
  return { status: TRANSPORT_STATUS[code], code, message, ...seconds };
}

/** Sends an error in Anthropic's form. */
export function sendError(reply: FastifyReply, error: AnthropicError): FastifyReply {
  const { status, message, code, account } = error;
  const { id } = reply.request;
  reply.code(status).header('content-type', 'application/json; charset=utf-8').header('x-request-id', id).header('request-id', id);
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  if (error.retry !== undefined) reply.header('x-should-retry', String(error.retry));
  if (error.retryAfterSeconds !== undefined) reply.header('retry-after', String(error.retryAfterSeconds));
  if (error.allow !== undefined) reply.header('allow', error.allow);
  if (error.rateHeaders !== undefined) reply.headers(error.rateHeaders);
  const inner = {
    type: anthropicErrorType(status),
    message,
    ...(code === null ? {} : { code }),
    ...(account === undefined ? {} : { account }),
  };
  return reply.send(stringifyJson({ type: 'error', error: inner, request_id: id }));
}

/** Answers 404 in Anthropic's form. */
export const sendNotFound = (request: FastifyRequest, reply: FastifyReply): FastifyReply =>
  sendError(reply, { ...UNKNOWN, code: 'route_not_found', message: `There is nothing under this address for ${request.method}.` });

/** Answers 405 in Anthropic's form; `allow` lists what the path takes. */
export const sendMethodNotAllowed = (request: FastifyRequest, reply: FastifyReply, allow: string): FastifyReply =>
  sendError(reply, { status: 405, code: 'method_not_allowed', message: `${request.method} is not allowed here; use ${allow}.`, allow });

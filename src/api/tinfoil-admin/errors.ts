import type { RejectionCode } from '../../core/rejection.ts';
import { TRANSPORT_STATUS, type ErrorForm, type Problem, type TransportCode } from '../_shared/problem.ts';

/** A status and a code on the wire. Source: Tinfoil Admin API, error responses; `CONFLICT` and what lies beyond are our own. */
type Wire = readonly [status: number, code: string];

const BAD_REQUEST: Wire = [400, 'BAD_REQUEST'];
const UNAUTHORIZED: Wire = [401, 'UNAUTHORIZED'];
const PAYMENT_REQUIRED: Wire = [402, 'PAYMENT_REQUIRED'];
const FORBIDDEN: Wire = [403, 'FORBIDDEN'];
const NOT_FOUND: Wire = [404, 'NOT_FOUND'];
const CONFLICT: Wire = [409, 'CONFLICT'];
/** Source: later versions of the public client. */
const INVALID_STATE: Wire = [409, 'INVALID_CONTAINER_STATE'];

const REJECTIONS: Readonly<Record<RejectionCode, Wire>> = {
  invalid_request: BAD_REQUEST,
  unauthorized: UNAUTHORIZED,
  key_expired: UNAUTHORIZED,
  key_disabled: UNAUTHORIZED,
  forbidden: FORBIDDEN,
  not_found: NOT_FOUND,
  conflict: CONFLICT,
  managed_by_file: CONFLICT,
  payment_required: PAYMENT_REQUIRED,
  key_limit_reached: FORBIDDEN,
  tenant_suspended: FORBIDDEN,
  tenant_closed: FORBIDDEN,
  budget_frozen: CONFLICT,
  budget_closed: CONFLICT,
  over_limit: CONFLICT,
  debt_outstanding: CONFLICT,
  budget_exceeded: PAYMENT_REQUIRED,
  cap_exceeded: PAYMENT_REQUIRED,
  balance_empty: PAYMENT_REQUIRED,
  window_exceeded: PAYMENT_REQUIRED,
  held: CONFLICT,
  budget_required: PAYMENT_REQUIRED,
  budget_not_found: NOT_FOUND,
  unit_mismatch: BAD_REQUEST,
  reservation_not_found: NOT_FOUND,
  reservation_finalized: CONFLICT,
  reservation_expired: CONFLICT,
  max_extensions_exceeded: CONFLICT,
  idempotency_mismatch: CONFLICT,
  amount_out_of_range: BAD_REQUEST,
  model_not_found: NOT_FOUND,
  stale_view: CONFLICT,
  model_unpriced: BAD_REQUEST,
  no_upstream_left: BAD_REQUEST,
  key_revoked: UNAUTHORIZED,
  insufficient_permissions: FORBIDDEN,
  invalid_transition: INVALID_STATE,
  already_in_state: CONFLICT,
  webhook_not_found: NOT_FOUND,
  webhook_url_invalid: BAD_REQUEST,
  event_not_found: NOT_FOUND,
  replay_in_progress: CONFLICT,
  count_mismatch: CONFLICT,
  too_many_matches: BAD_REQUEST,
  tenant_not_found: NOT_FOUND,
  key_already_revoked: NOT_FOUND,
  key_already_expired: NOT_FOUND,
  rate_limited: [429, 'RATE_LIMITED'],
};

const TRANSPORT: Readonly<Record<TransportCode, string>> = {
  bad_url: 'BAD_REQUEST',
  bad_request: 'BAD_REQUEST',
  malformed_body: 'BAD_REQUEST',
  doubled_header: 'BAD_REQUEST',
  foreign_origin: 'FORBIDDEN',
  route_not_found: 'NOT_FOUND',
  method_not_allowed: 'METHOD_NOT_ALLOWED',
  request_timeout: 'REQUEST_TIMEOUT',
  body_too_large: 'PAYLOAD_TOO_LARGE',
  unsupported_media_type: 'UNSUPPORTED_MEDIA_TYPE',
  misdirected: 'MISDIRECTED_REQUEST',
  too_many_requests: 'RATE_LIMITED',
  internal: 'INTERNAL_ERROR',
  upstream_failed: 'INTERNAL_ERROR',
  upstream_timeout: 'INTERNAL_ERROR',
  overloaded: 'SERVICE_UNAVAILABLE',
  store_unavailable: 'SERVICE_UNAVAILABLE',
};

/** What a proxy that asks for a key must be told in another way: by its contract 402 is a quota and 429 a rate, and it knows no 409. */
const SHIM_REJECTIONS: Readonly<Partial<Record<RejectionCode, Wire>>> = {
  budget_frozen: PAYMENT_REQUIRED,
  budget_closed: PAYMENT_REQUIRED,
  over_limit: PAYMENT_REQUIRED,
  debt_outstanding: PAYMENT_REQUIRED,
  window_exceeded: [429, 'RATE_LIMITED'],
  held: [429, 'RATE_LIMITED'],
};

const isTransport = (code: string): code is TransportCode => Object.hasOwn(TRANSPORT_STATUS, code);

/**
 * What some problems tell beside the sentence: every rule that a configuration breaks, and the containers that use what is to be deleted. Source: Tinfoil
 * reference sections 1.3 and 1.4.
 */
function shownDetails(details: Problem['details']): object {
  const { violations, containers } = details ?? {};
  return {
    ...(violations === undefined ? {} : { valid: false, errors: violations }),
    ...(containers === undefined ? {} : { containers, used_by: containers }),
  };
}

/** Problems as this surface writes them: the newest document's `{error, code}` beside the older ones' `{status, message}`. */
export const tinfoilForm: ErrorForm = ({ code: name, message, details }) => {
  const [status, code] = isTransport(name) ? [TRANSPORT_STATUS[name], TRANSPORT[name]] : REJECTIONS[name];
  return { status, body: { error: message, code, status: 'error', message, ...shownDetails(details) }, challenge: 'Bearer' };
};

/** Problems as the proxies of this API's ecosystem read them: by their status. Source: Tinfoil reference section 1.5, `validate-key`. */
export const shimForm: ErrorForm = (problem, requestId) => {
  const wire = isTransport(problem.code) ? undefined : SHIM_REJECTIONS[problem.code];
  const form = tinfoilForm(problem, requestId);
  return wire === undefined ? form : { ...form, status: wire[0], body: { ...form.body, code: wire[1] } };
};

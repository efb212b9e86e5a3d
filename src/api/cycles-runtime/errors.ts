import type { RejectionCode } from '../../core/rejection.ts';
import { cyclesForm } from '../_shared/cycles-form.ts';
import { TRANSPORT_STATUS, type ErrorForm, type TransportCode } from '../_shared/problem.ts';
import type { RuntimeErrorCode } from './schemas.ts';

/** A status and a code on the wire. */
type Wire = readonly [status: number, code: RuntimeErrorCode];

/**
 * What the runtime plane makes of every refusal: its codes are a closed set of 17, smaller than the governance plane's. Refusals of other
 * surfaces stand here too, so that the compiler finds a new one. Source: Cycles protocol, `ErrorCode` and ERROR SEMANTICS.
 */
const REJECTIONS: Readonly<Record<RejectionCode, Wire>> = {
  invalid_request: [400, 'INVALID_REQUEST'],
  unauthorized: [401, 'UNAUTHORIZED'],
  key_expired: [401, 'UNAUTHORIZED'],
  key_disabled: [401, 'UNAUTHORIZED'],
  key_revoked: [401, 'UNAUTHORIZED'],
  key_already_expired: [409, 'INVALID_REQUEST'],
  key_already_revoked: [409, 'INVALID_REQUEST'],
  insufficient_permissions: [403, 'FORBIDDEN'],
  forbidden: [403, 'FORBIDDEN'],
  not_found: [404, 'NOT_FOUND'],
  conflict: [409, 'INVALID_REQUEST'],
  invalid_transition: [400, 'INVALID_REQUEST'],
  webhook_not_found: [404, 'NOT_FOUND'],
  webhook_url_invalid: [400, 'INVALID_REQUEST'],
  event_not_found: [404, 'NOT_FOUND'],
  replay_in_progress: [409, 'INVALID_REQUEST'],
  count_mismatch: [409, 'INVALID_REQUEST'],
  too_many_matches: [400, 'LIMIT_EXCEEDED'],
  tenant_not_found: [404, 'NOT_FOUND'],
  rate_limited: [429, 'LIMIT_EXCEEDED'],
  managed_by_file: [409, 'INVALID_REQUEST'],
  payment_required: [402, 'FORBIDDEN'],
  key_limit_reached: [409, 'LIMIT_EXCEEDED'],
  tenant_suspended: [403, 'FORBIDDEN'],
  tenant_closed: [409, 'TENANT_CLOSED'],
  budget_frozen: [409, 'BUDGET_FROZEN'],
  budget_closed: [409, 'BUDGET_CLOSED'],
  over_limit: [409, 'OVERDRAFT_LIMIT_EXCEEDED'],
  debt_outstanding: [409, 'DEBT_OUTSTANDING'],
  budget_exceeded: [409, 'BUDGET_EXCEEDED'],
  cap_exceeded: [409, 'BUDGET_EXCEEDED'],
  balance_empty: [409, 'BUDGET_EXCEEDED'],
  window_exceeded: [409, 'BUDGET_EXCEEDED'],
  held: [409, 'BUDGET_EXCEEDED'],
  budget_required: [404, 'NOT_FOUND'],
  budget_not_found: [404, 'NOT_FOUND'],
  already_in_state: [409, 'INVALID_REQUEST'],
  unit_mismatch: [400, 'UNIT_MISMATCH'],
  reservation_not_found: [404, 'NOT_FOUND'],
  reservation_finalized: [409, 'RESERVATION_FINALIZED'],
  reservation_expired: [410, 'RESERVATION_EXPIRED'],
  max_extensions_exceeded: [409, 'MAX_EXTENSIONS_EXCEEDED'],
  idempotency_mismatch: [409, 'IDEMPOTENCY_MISMATCH'],
  amount_out_of_range: [400, 'INVALID_REQUEST'],
  model_not_found: [404, 'NOT_FOUND'],
  stale_view: [409, 'BUDGET_EXCEEDED'],
  model_unpriced: [400, 'INVALID_REQUEST'],
  no_upstream_left: [400, 'INVALID_REQUEST'],
};

const TRANSPORT: Readonly<Record<TransportCode, RuntimeErrorCode>> = {
  bad_url: 'INVALID_REQUEST',
  bad_request: 'INVALID_REQUEST',
  malformed_body: 'INVALID_REQUEST',
  doubled_header: 'INVALID_REQUEST',
  foreign_origin: 'FORBIDDEN',
  route_not_found: 'NOT_FOUND',
  method_not_allowed: 'INVALID_REQUEST',
  request_timeout: 'INVALID_REQUEST',
  body_too_large: 'INVALID_REQUEST',
  unsupported_media_type: 'INVALID_REQUEST',
  misdirected: 'INVALID_REQUEST',
  too_many_requests: 'LIMIT_EXCEEDED',
  internal: 'INTERNAL_ERROR',
  upstream_failed: 'INTERNAL_ERROR',
  upstream_timeout: 'INTERNAL_ERROR',
  overloaded: 'INTERNAL_ERROR',
  store_unavailable: 'INTERNAL_ERROR',
};

const isTransport = (code: string): code is TransportCode => Object.hasOwn(TRANSPORT_STATUS, code);

/** Problems as the runtime plane writes them: `{error, message, request_id, trace_id?, details?}`, with the codes that it knows. */
export const runtimeForm: ErrorForm = (problem, requestId, traceId) => {
  const { code } = problem;
  const [status, error] = isTransport(code) ? [TRANSPORT_STATUS[code], TRANSPORT[code]] : REJECTIONS[code];
  return { status, body: { ...cyclesForm(problem, requestId, traceId).body, error } };
};

import type { RejectionCode } from '../../core/rejection.ts';
import { TRANSPORT_STATUS, type ErrorForm, type TransportCode } from './problem.ts';

/** A status and a code on the wire. */
type Wire = readonly [status: number, code: string];

/** What the Cycles form makes of every refusal. Source: Cycles governance, `ErrorCode`; codes that it lacks are named like its own. */
const REJECTIONS: Readonly<Record<RejectionCode, Wire>> = {
  invalid_request: [400, 'INVALID_REQUEST'],
  unauthorized: [401, 'UNAUTHORIZED'],
  key_expired: [401, 'KEY_EXPIRED'],
  key_disabled: [401, 'UNAUTHORIZED'],
  forbidden: [403, 'FORBIDDEN'],
  not_found: [404, 'NOT_FOUND'],
  conflict: [409, 'DUPLICATE_RESOURCE'],
  managed_by_file: [409, 'MANAGED_BY_FILE'],
  payment_required: [402, 'PAYMENT_REQUIRED'],
  key_limit_reached: [409, 'LIMIT_EXCEEDED'],
  tenant_suspended: [400, 'TENANT_SUSPENDED'],
  tenant_closed: [400, 'TENANT_CLOSED'],
  budget_frozen: [409, 'BUDGET_FROZEN'],
  budget_closed: [409, 'BUDGET_CLOSED'],
  over_limit: [409, 'OVERDRAFT_LIMIT_EXCEEDED'],
  debt_outstanding: [409, 'DEBT_OUTSTANDING'],
  budget_exceeded: [409, 'BUDGET_EXCEEDED'],
  cap_exceeded: [409, 'BUDGET_EXCEEDED'],
  balance_empty: [409, 'BUDGET_EXCEEDED'],
  window_exceeded: [409, 'BUDGET_EXCEEDED'],
  held: [409, 'BUDGET_EXCEEDED'],
  budget_required: [409, 'BUDGET_NOT_FOUND'],
  budget_not_found: [404, 'BUDGET_NOT_FOUND'],
  unit_mismatch: [400, 'UNIT_MISMATCH'],
  reservation_not_found: [404, 'NOT_FOUND'],
  reservation_finalized: [409, 'RESERVATION_FINALIZED'],
  reservation_expired: [410, 'RESERVATION_EXPIRED'],
  max_extensions_exceeded: [409, 'LIMIT_EXCEEDED'],
  idempotency_mismatch: [409, 'IDEMPOTENCY_MISMATCH'],
  amount_out_of_range: [400, 'INVALID_REQUEST'],
  model_not_found: [404, 'NOT_FOUND'],
  stale_view: [409, 'BUDGET_EXCEEDED'],
  model_unpriced: [400, 'INVALID_REQUEST'],
  no_upstream_left: [400, 'INVALID_REQUEST'],
  key_revoked: [401, 'KEY_REVOKED'],
  insufficient_permissions: [403, 'INSUFFICIENT_PERMISSIONS'],
  invalid_transition: [409, 'INVALID_TRANSITION'],
  already_in_state: [409, 'INVALID_REQUEST'],
  webhook_not_found: [404, 'WEBHOOK_NOT_FOUND'],
  webhook_url_invalid: [400, 'WEBHOOK_URL_INVALID'],
  event_not_found: [404, 'EVENT_NOT_FOUND'],
  replay_in_progress: [409, 'REPLAY_IN_PROGRESS'],
  count_mismatch: [409, 'COUNT_MISMATCH'],
  too_many_matches: [400, 'LIMIT_EXCEEDED'],
  tenant_not_found: [404, 'TENANT_NOT_FOUND'],
  key_already_revoked: [409, 'KEY_REVOKED'],
  key_already_expired: [409, 'KEY_EXPIRED'],
  rate_limited: [429, 'LIMIT_EXCEEDED'],
};

const TRANSPORT: Readonly<Record<TransportCode, string>> = {
  bad_url: 'INVALID_REQUEST',
  bad_request: 'INVALID_REQUEST',
  malformed_body: 'INVALID_REQUEST',
  doubled_header: 'INVALID_REQUEST',
  foreign_origin: 'FORBIDDEN',
  route_not_found: 'NOT_FOUND',
  method_not_allowed: 'METHOD_NOT_ALLOWED',
  request_timeout: 'REQUEST_TIMEOUT',
  body_too_large: 'PAYLOAD_TOO_LARGE',
  unsupported_media_type: 'UNSUPPORTED_MEDIA_TYPE',
  misdirected: 'MISDIRECTED_REQUEST',
  too_many_requests: 'LIMIT_EXCEEDED',
  internal: 'INTERNAL_ERROR',
  upstream_failed: 'UPSTREAM_FAILED',
  upstream_timeout: 'UPSTREAM_TIMEOUT',
  overloaded: 'SERVICE_UNAVAILABLE',
  store_unavailable: 'SERVICE_UNAVAILABLE',
};

const isTransport = (code: string): code is TransportCode => Object.hasOwn(TRANSPORT_STATUS, code);

/**
 * Problems as the Cycles protocol writes them: `{error, message, request_id, trace_id?, details?}`. The operator API answers in the same form.
 */
export const cyclesForm: ErrorForm = (problem, requestId, traceId) => {
  const { code, message, field, details } = problem;
  const [status, error] = isTransport(code) ? [TRANSPORT_STATUS[code], TRANSPORT[code]] : REJECTIONS[code];
  const more = { ...details, ...(field === undefined ? {} : { field }) };
  return {
    status,
    body: {
      error,
      message,
      request_id: requestId,
      ...(traceId === undefined ? {} : { trace_id: traceId }),
      ...(Object.keys(more).length === 0 ? {} : { details: more }),
    },
  };
};

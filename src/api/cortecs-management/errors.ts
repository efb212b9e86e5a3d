import type { RejectionCode } from '../../core/rejection.ts';
import { TRANSPORT_STATUS, type ErrorForm, type Problem, type TransportCode } from '../_shared/problem.ts';

/**
 * The status of every refusal. Source: Cortecs management API: a bad name, one that is taken and a limit that is reached are all 400. What
 * its document does not tell of has the status that it has elsewhere.
 */
const REJECTIONS: Readonly<Record<RejectionCode, number>> = {
  invalid_request: 400,
  unauthorized: 401,
  key_expired: 401,
  key_disabled: 401,
  key_revoked: 401,
  forbidden: 403,
  insufficient_permissions: 403,
  not_found: 404,
  conflict: 400,
  managed_by_file: 409,
  payment_required: 403,
  key_limit_reached: 400,
  tenant_suspended: 403,
  tenant_closed: 403,
  budget_frozen: 409,
  budget_closed: 409,
  over_limit: 409,
  debt_outstanding: 409,
  budget_exceeded: 402,
  cap_exceeded: 402,
  balance_empty: 402,
  window_exceeded: 429,
  held: 409,
  budget_required: 402,
  budget_not_found: 404,
  unit_mismatch: 400,
  reservation_not_found: 404,
  reservation_finalized: 409,
  reservation_expired: 409,
  max_extensions_exceeded: 409,
  idempotency_mismatch: 409,
  amount_out_of_range: 400,
  model_not_found: 404,
  stale_view: 409,
  model_unpriced: 400,
  no_upstream_left: 400,
  invalid_transition: 409,
  already_in_state: 409,
  webhook_not_found: 404,
  webhook_url_invalid: 400,
  event_not_found: 404,
  replay_in_progress: 409,
  count_mismatch: 409,
  too_many_matches: 400,
  tenant_not_found: 404,
  key_already_revoked: 404,
  key_already_expired: 404,
  rate_limited: 429,
};

const isTransport = (code: string): code is TransportCode => Object.hasOwn(TRANSPORT_STATUS, code);

/** Problems as this surface writes them: one sentence. Source: Cortecs management API, `ErrorResponse`. */
export const managementForm: ErrorForm = ({ code, message }) => ({
  status: isTransport(code) ? TRANSPORT_STATUS[code] : REJECTIONS[code],
  body: { error: message },
  challenge: 'Bearer',
});

/** What the audit calls a problem, since the form has no codes. */
export const auditCodeOf = (code: Problem['code']): string => code.toUpperCase();

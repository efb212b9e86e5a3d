import type { RejectionCode } from '../../core/rejection.ts';
import { cyclesForm } from '../_shared/cycles-form.ts';
import type { ErrorForm, TransportCode } from '../_shared/problem.ts';

/** A status and a code on the wire. */
type Wire = readonly [status: number, code: string];

/**
 * Where this surface answers otherwise than the operator API, which has the same form: the codes of errors are a closed set here, and a
 * closed tenant is a conflict. Source: Cycles governance, `ErrorCode` and CASCADE SEMANTICS, rule 2.
 */
const OVERRIDES: Readonly<Partial<Record<RejectionCode | TransportCode, Wire>>> = {
  tenant_closed: [409, 'TENANT_CLOSED'],
  invalid_transition: [400, 'INVALID_REQUEST'],
  managed_by_file: [409, 'POLICY_VIOLATION'],
  payment_required: [400, 'POLICY_VIOLATION'],
  budget_required: [409, 'POLICY_VIOLATION'],
  method_not_allowed: [405, 'INVALID_REQUEST'],
  request_timeout: [408, 'INVALID_REQUEST'],
  body_too_large: [413, 'INVALID_REQUEST'],
  unsupported_media_type: [415, 'INVALID_REQUEST'],
  misdirected: [421, 'INVALID_REQUEST'],
  upstream_failed: [502, 'INTERNAL_ERROR'],
  upstream_timeout: [504, 'INTERNAL_ERROR'],
  overloaded: [503, 'INTERNAL_ERROR'],
  store_unavailable: [503, 'INTERNAL_ERROR'],
};

/** Problems as the governance plane writes them: `{error, message, request_id, trace_id?, details?}`, with the codes that it knows. */
export const governanceForm: ErrorForm = (problem, requestId, traceId) => {
  const plain = cyclesForm(problem, requestId, traceId);
  const wire = OVERRIDES[problem.code];
  if (wire === undefined) return plain;
  const [status, error] = wire;
  return { ...plain, status, body: { ...plain.body, error } };
};

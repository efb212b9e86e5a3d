import Type from 'typebox';
import type { Operation, Operations, Parameter } from '../../_shared/openapi/operation.ts';
import { AuditLogListResponse } from '../schemas/audit.ts';
import { answer, EVERYWHERE, moment, page, search, sorting, traceFilter, words } from './shared.ts';

const anyOf = (description: string): Parameter => ({
  description,
  schema: Type.Array(Type.String(), { maxItems: 25 }),
  commaSeparated: true,
});
const status = (description: string): Parameter => ({ description, schema: Type.Integer({ minimum: 100, maximum: 599 }) });

const listAuditLogs: Operation = {
  id: 'listAuditLogs',
  summary: 'List what was done and what was refused',
  query: {
    tenant_id: words('Only rows of this tenant.'),
    key_id: words('Only what this key did.'),
    operation: anyOf('Only these operations.'),
    status: { description: 'Only this status; not together with a range.', schema: Type.Integer() },
    resource_type: anyOf('Only things of these types.'),
    resource_id: words('Only this thing.'),
    error_code: anyOf('Only these codes of errors.'),
    error_code_exclude: anyOf('None of these codes of errors.'),
    status_min: status('Only this status and those above.'),
    status_max: status('Only this status and those below.'),
    from: moment('Only from this moment on.'),
    to: moment('Only up to this moment.'),
    search,
    trace_id: traceFilter,
    request_id: words('Only what this request did.'),
    ...sorting(['timestamp', 'operation', 'resource_type', 'tenant_id', 'key_id', 'status'], 'timestamp'),
    ...page,
  },
  answers: { 200: answer('A page of the audit trail.', AuditLogListResponse) },
  errors: EVERYWHERE,
};

/** The operations of the audit trail: the document's, and the same by the path of the admin guide. Source: Cycles governance, `listAuditLogs`. */
export const AUDIT_OPERATIONS: Operations = {
  'GET /v1/admin/audit/logs': listAuditLogs,
  'GET /v1/admin/audit-logs': { ...listAuditLogs, id: 'listAuditLogsByOldPath' },
};

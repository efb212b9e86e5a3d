import Type, { type Static } from 'typebox';
import { closed, Count, Metadata, Moment } from '../../_shared/cycles-fields.ts';
import { TraceId } from '../../_shared/cycles-schemas.ts';
import { pageEnd } from './common.ts';

const OptionalText = Type.Optional(Type.String());

/** One row of the audit trail. Source: Cycles governance, `AuditLogEntry`. */
const AuditLogEntry = closed(
  {
    log_id: Type.String(),
    timestamp: Moment,
    tenant_id: Type.String(),
    key_id: OptionalText,
    user_agent: OptionalText,
    source_ip: OptionalText,
    operation: Type.String(),
    resource_type: OptionalText,
    resource_id: OptionalText,
    request_id: OptionalText,
    trace_id: Type.Optional(TraceId),
    status: Count,
    error_code: OptionalText,
    subject: Type.Optional(Metadata),
    action: Type.Optional(Metadata),
    amount: Type.Optional(Metadata),
    metadata: Type.Optional(Metadata),
  },
  'AuditLogEntry',
);
type AuditLogEntry = Static<typeof AuditLogEntry>;

/** Answer of `GET /v1/admin/audit/logs`. Source: Cycles governance, `AuditLogListResponse`. */
export const AuditLogListResponse = closed({ logs: Type.Array(AuditLogEntry), ...pageEnd }, 'AuditLogListResponse');

import { hasKey } from '../../core/audit/audit-query.ts';
import type { AuditEntry } from '../../core/effects.ts';
import { SYSTEM_TENANT } from '../../core/records.ts';
import { REJECTIONS, type RejectionCode } from '../../core/rejection.ts';
import { formatRfc3339 } from '../../core/rfc3339.ts';
import { governanceForm } from './errors.ts';
import { present } from './objects.ts';

/** How rows that belong to no tenant name theirs. Source: Cycles governance, `AuditLogEntry.tenant_id`. */
const NO_TENANT = '__admin__';

/** The tenant of a row, as the wire names it. */
const shownTenant = (tenantId: string): string => (tenantId === SYSTEM_TENANT ? NO_TENANT : tenantId);

/** The tenant of rows that the wire names so. */
export const storedTenant = (shown: string): string => (shown === NO_TENANT ? SYSTEM_TENANT : shown);

/** What a timestamp can show; a row that somebody moved out of it is shown at its edge. */
const FIRST_MS = 0;
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

const isRejection = (code: string): code is RejectionCode => Object.hasOwn(REJECTIONS, code);

/** How it ended, by what was kept of it; for a row without a status, by how this surface answers such a refusal. */
function endingOf({ code, status, errorCode }: AuditEntry): { readonly status: number; readonly error_code?: string } {
  if (status !== undefined) return errorCode === undefined ? { status } : { status, error_code: errorCode };
  if (code === null) return { status: 200 };
  if (!isRejection(code)) return { status: 500, error_code: 'INTERNAL_ERROR' };
  const { status: answered, body } = governanceForm({ code, message: '' }, '');
  return { status: answered, error_code: (body as { error: string }).error };
}

/** A row of the trail as the governance surface shows it. Source: Cycles governance, `AuditLogEntry`. */
export const auditBody = (entry: AuditEntry) =>
  present({
    log_id: entry.id,
    timestamp: formatRfc3339(Math.min(Math.max(entry.atMs, FIRST_MS), LAST_MS)),
    tenant_id: shownTenant(entry.tenantId),
    key_id: hasKey(entry) ? entry.actorId : undefined,
    user_agent: entry.userAgent,
    source_ip: entry.sourceIp,
    operation: entry.operation,
    resource_type: entry.resourceKind === '' ? undefined : entry.resourceKind,
    resource_id: entry.resourceId === '' ? undefined : entry.resourceId,
    request_id: entry.requestId,
    trace_id: entry.traceId,
    ...endingOf(entry),
    metadata: Object.keys(entry.metadata as object).length === 0 ? undefined : entry.metadata,
  });

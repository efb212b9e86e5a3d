import {
  auditPosition,
  hasKey,
  type AuditFilter,
  type AuditPosition,
  type AuditQuery,
  type StoredAudit,
} from '../../src/core/audit/audit-query.ts';

/** Whether a row of the trail is what a filter means: a second, simple reading of it. */
function isMeant({ entry }: StoredAudit, filter: AuditFilter): boolean {
  const { operations, resourceKinds, errorCodes, exceptErrorCodes, status, search } = filter;
  const texts = [entry.resourceId, entry.id, entry.errorCode ?? '', entry.operation];
  return (
    (filter.tenantId ?? entry.tenantId) === entry.tenantId &&
    (filter.keyId === undefined || (hasKey(entry) && entry.actorId === filter.keyId)) &&
    (operations ?? [entry.operation]).includes(entry.operation) &&
    (resourceKinds ?? [entry.resourceKind]).includes(entry.resourceKind) &&
    (filter.resourceId ?? entry.resourceId) === entry.resourceId &&
    (errorCodes === undefined || (entry.errorCode !== undefined && errorCodes.includes(entry.errorCode))) &&
    (exceptErrorCodes === undefined || entry.errorCode === undefined || !exceptErrorCodes.includes(entry.errorCode)) &&
    (status === undefined || (entry.status !== undefined && entry.status >= status.min && entry.status <= status.max)) &&
    entry.atMs >= (filter.fromMs ?? -Infinity) &&
    entry.atMs <= (filter.toMs ?? Infinity) &&
    (search === undefined || texts.some((text) => text.toLowerCase().includes(search))) &&
    (filter.traceId ?? entry.traceId) === entry.traceId &&
    (filter.requestId ?? entry.requestId) === entry.requestId
  );
}

function compare(a: AuditPosition, b: AuditPosition): number {
  if (a.value !== b.value) return a.value < b.value ? -1 : 1;
  return a.atMs === b.atMs ? a.seq - b.seq : a.atMs - b.atMs;
}

/** The page of a list of the trail, out of all its rows. */
export function pageOfAudit(all: readonly StoredAudit[], query: AuditQuery): StoredAudit[] {
  const { sortBy, after, limit } = query;
  const sign = query.descending ? -1 : 1;
  const inOrder = (a: AuditPosition, b: AuditPosition): number => sign * compare(a, b);
  return all
    .filter((row) => isMeant(row, query))
    .toSorted((a, b) => inOrder(auditPosition(a, sortBy), auditPosition(b, sortBy)))
    .filter((row) => after === null || inOrder(auditPosition(row, sortBy), after) > 0)
    .slice(0, limit);
}

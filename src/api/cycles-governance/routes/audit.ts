import type { FastifyRequest } from 'fastify';
import {
  AUDIT_SORT_KEYS,
  auditPosition,
  type AuditFilter,
  type AuditPosition,
  type AuditSortKey,
  type StoredAudit,
} from '../../../core/audit/audit-query.ts';
import { RefusedRequest } from '../../_shared/problem.ts';
import { auditBody, storedTenant } from '../audit-objects.ts';
import type { GovernanceMount } from '../governance-deps.ts';
import { filterMoment, filterText, listAnswer, readListPage, searchText, type ListPosition } from '../list-page.ts';
import { present } from '../objects.ts';

/** How many values a list in a query may hold. Source: Cycles governance, `listAuditLogs`. */
const MAX_LISTED = 25;
const STATUS = { min: 100, max: 599 };
const TRACE_ID = /^[0-9a-f]{32}$/;

const refused = (field: string, message: string): RefusedRequest => new RefusedRequest({ code: 'invalid_request', message, field });

/** A list of values between commas; undefined where there is none. The parameter may also come several times. */
function filterList(request: FastifyRequest, name: string): readonly string[] | undefined {
  const given = (request.query as Readonly<Record<string, string | readonly string[] | undefined>>)[name];
  const texts = typeof given === 'string' ? [given] : (given ?? []);
  const values = texts.flatMap((text) => text.split(',')).flatMap((text) => text.trim() || []);
  if (values.length > MAX_LISTED) throw refused(name, `${name} must have at most ${MAX_LISTED} values`);
  return values.length === 0 ? undefined : values;
}

function filterWhole(
  request: FastifyRequest,
  name: string,
  bounds: { readonly min: number; readonly max: number } | null,
): number | undefined {
  const text = filterText(request, name);
  if (text === undefined) return undefined;
  const value = /^-?\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) throw refused(name, `${name} must be a whole number`);
  if (bounds !== null && (value < bounds.min || value > bounds.max))
    throw refused(name, `${name} must be a whole number from ${bounds.min} to ${bounds.max}`);
  return value;
}

/** The statuses that are asked for: one, or a range. */
function filterStatus(request: FastifyRequest): AuditFilter['status'] {
  const exact = filterWhole(request, 'status', null);
  const min = filterWhole(request, 'status_min', STATUS);
  const max = filterWhole(request, 'status_max', STATUS);
  if (exact !== undefined) {
    if (min !== undefined || max !== undefined) throw refused('status', 'status must not come with status_min or status_max');
    return { min: exact, max: exact };
  }
  if (min === undefined && max === undefined) return undefined;
  const range = { min: min ?? STATUS.min, max: max ?? STATUS.max };
  if (range.min > range.max) throw refused('status_min', 'status_min must not be greater than status_max');
  return range;
}

function filterTrace(request: FastifyRequest): string | undefined {
  const text = filterText(request, 'trace_id');
  if (text !== undefined && !TRACE_ID.test(text)) throw refused('trace_id', 'trace_id must be 32 hexadecimal digits in lower case');
  return text;
}

/** The filters of a query; what is blank narrows nothing. */
function filterOf(request: FastifyRequest): AuditFilter {
  const fromMs = filterMoment(request, 'from');
  const toMs = filterMoment(request, 'to');
  if (fromMs !== undefined && toMs !== undefined && fromMs > toMs) throw refused('from', 'from must not be after to');
  const tenant = filterText(request, 'tenant_id');
  return present({
    tenantId: tenant === undefined ? undefined : storedTenant(tenant),
    keyId: filterText(request, 'key_id'),
    operations: filterList(request, 'operation'),
    resourceKinds: filterList(request, 'resource_type'),
    resourceId: filterText(request, 'resource_id'),
    errorCodes: filterList(request, 'error_code'),
    exceptErrorCodes: filterList(request, 'error_code_exclude'),
    status: filterStatus(request),
    fromMs,
    toMs,
    search: searchText(filterText(request, 'search')) ?? undefined,
    traceId: filterTrace(request),
    requestId: filterText(request, 'request_id'),
  });
}

const positionAt = (row: StoredAudit, sortBy: AuditSortKey): ListPosition => {
  const { value, atMs, seq } = auditPosition(row, sortBy);
  return { value, id: JSON.stringify([atMs, seq]) };
};

function positionOf({ value, id }: ListPosition): AuditPosition {
  const [atMs, seq] = JSON.parse(id) as [number, number];
  return { value: value ?? '', atMs, seq };
}

/** `GET /v1/admin/audit/logs`, and the same by the path of the admin guide. Source: Cycles governance, `listAuditLogs`. */
export const mountAudit: GovernanceMount = (app, { records, cursors, failedCredentials, audit }) => {
  for (const url of ['/v1/admin/audit/logs', '/v1/admin/audit-logs']) {
    app.get(url, { config: { credential: 'operator' } }, async (request) => {
      const filter = filterOf(request);
      const page = readListPage(request, { list: 'audit', sortKeys: AUDIT_SORT_KEYS, cursors, filters: filter });
      // Whoever looks for a failed attempt finds the one of a moment ago.
      await Promise.all([failedCredentials.flush(), audit.flush()]);
      const found = await records.auditPage({
        ...filter,
        sortBy: page.sortBy,
        descending: page.descending,
        after: page.after === null ? null : positionOf(page.after),
        limit: page.limit + 1,
      });
      const { shown, end } = listAnswer(page, found, positionAt);
      return { logs: shown.map(({ entry }) => auditBody(entry)), ...end };
    });
  }
};

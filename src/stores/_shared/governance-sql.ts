import { NEVER_MS } from '../../core/cycles/tenant-key.ts';
import type {
  GovernanceReads,
  SortedPage,
  TenantFilter,
  TenantKeyFilter,
  TenantKeySort,
  TenantSort,
} from '../../ports/governance-reads.ts';

/** A value to bind. */
export type BoundValue = string | number | null;

/** A statement with its values, in the order of their placeholders. */
export interface BoundSql {
  readonly text: string;
  readonly values: readonly BoundValue[];
}

/** How the two dialects say what these queries need. Sorting and comparing goes by bytes in both. */
export interface GovernanceDialect {
  /** The placeholder of the value number `position`, from 1. */
  readonly placeholder: (position: number) => string;
  /** A field of a record's body. */
  readonly text: (field: string) => string;
  readonly whole: (field: string) => string;
  /** Whether `part` is in `text`, whatever the case of ASCII letters; `part` is in lower case. */
  readonly contains: (text: string, part: string) => string;
}

/** Collects the values of a statement while its text is put together from left to right. */
function makeBinder({ placeholder }: GovernanceDialect): { bind: (value: BoundValue) => string; values: BoundValue[] } {
  const values: BoundValue[] = [];
  return { values, bind: (value) => placeholder(values.push(value)) };
}

const where = (conditions: readonly string[]): string => (conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`);

/** What lies behind the last item of the page before, in the order of the list. */
function behind(page: SortedPage<string>, sortExpression: string, bind: (value: BoundValue) => string): string[] {
  if (page.after === null) return [];
  const { value, id } = page.after;
  const sign = page.descending ? '<' : '>';
  if (sortExpression === 'id') return [`id ${sign} ${bind(id)}`];
  // Both: SQLite finds the place in an index by the first alone.
  return [`${sortExpression} ${sign}= ${bind(value)}`, `(${sortExpression}, id) ${sign} (${bind(value)}, ${bind(id)})`];
}

function ordered(page: SortedPage<string>, sortExpression: string, bind: (value: BoundValue) => string): string {
  const direction = page.descending ? 'DESC' : 'ASC';
  const order = sortExpression === 'id' ? `id ${direction}` : `${sortExpression} ${direction}, id ${direction}`;
  return `ORDER BY ${order} LIMIT ${bind(page.limit)}`;
}

/** The statements of {@link GovernanceReads} over records, in one dialect. */
export function makeGovernanceSql(dialect: GovernanceDialect) {
  const { text, whole, contains } = dialect;
  const tenantSort: Readonly<Record<TenantSort, string>> = {
    created_at: whole('createdAtMs'),
    tenant_id: 'id',
    name: text('name'),
    status: text('status'),
  };
  const expiresAt = `coalesce(${whole('expiresAtMs')}, ${NEVER_MS})`;

  const tenantConditions = (filter: TenantFilter, bind: (value: BoundValue) => string): string[] => [
    ...(filter.status === undefined ? [] : [`${text('status')} = ${bind(filter.status)}`]),
    ...(filter.parentTenantId === undefined ? [] : [`${text('parentTenantId')} = ${bind(filter.parentTenantId)}`]),
    ...(filter.search === null ? [] : [`(${contains('id', bind(filter.search))} OR ${contains(text('name'), bind(filter.search))})`]),
  ];

  /** How a key stands, in words; the moment is bound where it stands in the text. */
  const keyStatus = (nowMs: number, bind: (value: BoundValue) => string): string =>
    `CASE WHEN deleted_at_ms IS NOT NULL THEN 'REVOKED' WHEN ${expiresAt} <= ${bind(nowMs)} THEN 'EXPIRED' ELSE 'ACTIVE' END`;

  const keySort = (sortBy: TenantKeySort): string =>
    ({ created_at: 'created_at_ms', key_id: 'id', name: 'name', tenant_id: 'tenant_id', expires_at: expiresAt, status: 'status' })[sortBy];

  return {
    /** By tenants_by_creation, tenants_by_name, tenants_by_status or the primary key, which give the order as well. */
    tenantPage(query: Parameters<GovernanceReads['tenantPage']>[0]): BoundSql {
      const { bind, values } = makeBinder(dialect);
      const sort = tenantSort[query.sortBy];
      const conditions = [...tenantConditions(query, bind), ...behind(query, sort, bind)];
      return { text: `SELECT body FROM tenants ${where(conditions)} ${ordered(query, sort, bind)}`, values };
    },
    /** By tenants_by_status where a status is given; else every tenant is looked at. */
    tenantCount(filter: TenantFilter): BoundSql {
      const { bind, values } = makeBinder(dialect);
      return { text: `SELECT count(*) AS found FROM tenants ${where(tenantConditions(filter, bind))}`, values };
    },
    /** In the usual order by api_keys_of_tenants or, of one tenant, api_keys_of_one_tenant; another order is sorted. */
    tenantKeyPage(query: SortedPage<TenantKeySort> & TenantKeyFilter): BoundSql {
      const { bind, values } = makeBinder(dialect);
      const sort = keySort(query.sortBy);
      const inner =
        query.sortBy === 'status'
          ? `SELECT id, body, name, deleted_at_ms, tenant_id, created_at_ms, ${keyStatus(query.nowMs, bind)} AS status FROM api_keys WHERE kind = 'tenant'`
          : null;
      const conditions = [
        ...(inner === null ? [`kind = 'tenant'`] : []),
        ...(query.tenantId === undefined ? [] : [`tenant_id = ${bind(query.tenantId)}`]),
        ...(query.status === undefined ? [] : [`${keyStatus(query.nowMs, bind)} = ${bind(query.status)}`]),
        ...(query.search === null ? [] : [`(${contains('id', bind(query.search))} OR ${contains('name', bind(query.search))})`]),
        ...behind(query, sort, bind),
      ];
      const from = inner === null ? 'api_keys' : `(${inner}) AS found`;
      return { text: `SELECT body FROM ${from} ${where(conditions)} ${ordered(query, sort, bind)}`, values };
    },
  };
}

import type { AuditQuery } from '../../core/audit/audit-query.ts';
import type { AuditReads } from '../../ports/audit-reads.ts';
import type { PlaceState } from '../../ports/audit-trail.ts';
import { auditPageSql, auditStatusesSql, type AuditValue } from '../_shared/audit-list.ts';
import { AUDIT_COLUMNS, auditFromRow, type AuditRow } from '../_shared/journal-rows.ts';
import { arrayText } from './columns.ts';
import type { Reader } from './reader.ts';
import type { Statement } from './statement.ts';

// Index: audit_by_status, one look for each status that there is.
const STATUSES: Statement = { name: 'audit_statuses', text: auditStatusesSql('$1::bigint', '$2::bigint') };

// Index: audit_heads_pkey.
const HEADS: Statement = {
  name: 'audit_heads',
  text: 'SELECT tenant_id, no, hash FROM audit_heads WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2::bigint',
};

// Indexes: audit_chain, then audit_heads_pkey.
const PLACES: Statement = {
  name: 'audit_places',
  text: `
    SELECT coalesce(
      (SELECT CASE WHEN a.hash = x.hash THEN 'stands' ELSE 'differs' END FROM audit a
       WHERE a.tenant_id = x.tenant_id AND a.no = x.no AND a.no IS NOT NULL),
      (SELECT CASE WHEN h.pruned_no = x.no AND h.pruned_hash <> x.hash THEN 'differs' ELSE 'forgotten' END FROM audit_heads h
       WHERE h.tenant_id = x.tenant_id AND h.pruned_no >= x.no),
      'differs') AS state
    FROM unnest($1::text[], $2::bigint[], $3::text[]) WITH ORDINALITY AS x (tenant_id, no, hash, place) ORDER BY x.place`,
};

const COLUMNS = ['seq', ...AUDIT_COLUMNS];

/** The statement of a page of the trail; without a name, since of so many texts none is worth being kept prepared. */
export function auditListSql(query: AuditQuery, statuses: readonly number[] | null): { text: string; values: AuditValue[] } {
  const values: AuditValue[] = [];
  const text = auditPageSql(query, {
    columns: COLUMNS,
    statuses,
    dialect: {
      bind: (value) => `$${values.push(value)}::${typeof value === 'number' ? 'bigint' : 'text'}`,
      contains: (where, part) => `position(${part} IN lower(${where} COLLATE "C")) > 0`,
      by: null,
    },
  });
  return { text, values };
}

/** Makes the reads of the audit trail. */
export const makeAuditReads = (reader: Reader): AuditReads => ({
  async auditPage(query) {
    const { status } = query;
    const found = status === undefined ? null : await reader.rows<{ status: bigint }>(STATUSES, [status.min, status.max]);
    if (found?.length === 0) return [];
    const { text, values } = auditListSql(query, found?.map((row) => Number(row.status)) ?? null);
    return (await reader.rows<AuditRow>({ name: '', text }, values)).map(auditFromRow);
  },
  async auditHeads({ afterTenantId, limit }) {
    const rows = await reader.rows<{ tenant_id: string; no: bigint; hash: string }>(HEADS, [afterTenantId, limit]);
    return rows.map(({ tenant_id: tenantId, no, hash }) => ({ tenantId, no: Number(no), hash }));
  },
  async auditPlaces(ends) {
    const values = [
      arrayText(ends.map(({ tenantId }) => tenantId)),
      arrayText(ends.map(({ no }) => no)),
      arrayText(ends.map(({ hash }) => hash)),
    ];
    return (await reader.rows<{ state: PlaceState }>(PLACES, values)).map(({ state }) => state);
  },
});

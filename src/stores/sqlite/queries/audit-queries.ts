import type { Database } from 'better-sqlite3';
import type { ChainEnd, PlaceState } from '../../../ports/audit-trail.ts';
import type { AuditQuery } from '../../../core/audit/audit-query.ts';
import { auditPageSql, auditStatusesSql, type AuditValue } from '../../_shared/audit-list.ts';
import { AUDIT_COLUMNS, auditFromRow, type AuditRow } from '../../_shared/journal-rows.ts';
import type { Queries } from '../messages.ts';

/** The statement of a page of the trail. `statuses` are those there are in the range that is asked for. */
export function auditListSql(query: AuditQuery, statuses: readonly number[] | null): { text: string; values: AuditValue[] } {
  const values: AuditValue[] = [];
  const text = auditPageSql(query, {
    columns: ['seq', ...AUDIT_COLUMNS],
    statuses,
    dialect: {
      bind: (value) => {
        values.push(value);
        return '?';
      },
      contains: (where, part) => `instr(lower(${where}), ${part}) > 0`,
      by: (index) => `INDEXED BY ${index}`,
    },
  });
  return { text, values };
}

/** The statuses of a range, by audit_by_status. */
const AUDIT_STATUSES_SQL = auditStatusesSql('@min', '@max');

/** Queries of the audit trail, on a reading connection. Their texts differ by what is asked for, so they are prepared as they come. */
export function makeAuditQueries(db: Database): Pick<Queries, 'auditPage' | 'auditHeads' | 'auditPlaces'> {
  const statuses = db.prepare<[{ min: number; max: number }], number>(AUDIT_STATUSES_SQL).pluck();
  // By the primary key.
  const heads = db.prepare<[string, number], ChainEnd>(
    'SELECT tenant_id AS tenantId, no, hash FROM audit_heads WHERE tenant_id > ? ORDER BY tenant_id LIMIT ?',
  );
  // By audit_chain, then by the primary key of the heads.
  const place = db
    .prepare<[ChainEnd], PlaceState>(
      `SELECT coalesce(
         (SELECT iif(hash = @hash, 'stands', 'differs') FROM audit WHERE tenant_id = @tenantId AND no = @no AND no IS NOT NULL),
         (SELECT iif(pruned_no = @no AND pruned_hash <> @hash, 'differs', 'forgotten') FROM audit_heads WHERE tenant_id = @tenantId AND pruned_no >= @no),
         'differs')`,
    )
    .pluck();
  return {
    auditPlaces: (ends) => ends.map((end) => place.get(end) ?? 'differs'),
    auditHeads: ({ afterTenantId, limit }) => heads.all(afterTenantId, limit),
    auditPage: (query) => {
      const range = query.status === undefined ? null : statuses.all(query.status);
      if (range?.length === 0) return [];
      const { text, values } = auditListSql(query, range);
      return db
        .prepare<AuditValue[], AuditRow>(text)
        .all(...values)
        .map(auditFromRow);
    },
  };
}

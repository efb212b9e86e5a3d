import type { Database } from 'better-sqlite3';
import { budgetId } from '../../../core/ledger/account.ts';
import { makeGovernanceSql, type BoundSql } from '../../_shared/governance-sql.ts';
import { recordFromBody } from '../../_shared/record-tables.ts';
import type { Queries } from '../messages.ts';

/** The statements of the governance surface's reads that are always the same, with the index that each relies on. */
export const GOVERNANCE_SQL = {
  /** By reservations_due: what is ACTIVE is little beside what is settled. */
  openReservations: `SELECT id FROM reservations INDEXED BY reservations_due
    WHERE state = 'ACTIVE' AND purpose = 'budget' AND tenant_id = ? AND id NOT IN (SELECT value FROM json_each(?)) LIMIT ?`,
  /** By accounts_identity. */
  openBudgets: `SELECT scope, unit FROM accounts WHERE tenant_id = ? AND kind = 'budget' AND status <> 'CLOSED'
    AND tenant_id || '|' || kind || '|' || scope || '|' || unit || '|' || period NOT IN (SELECT value FROM json_each(?)) LIMIT ?`,
  /** By webhooks_of_tenant. */
  openWebhooks: `SELECT id FROM webhooks WHERE tenant_id = ? AND json_extract(body, '$.status') <> 'DISABLED'
    AND id NOT IN (SELECT value FROM json_each(?)) LIMIT ?`,
  /** By primary key for each id. */
  keyUses: 'SELECT key_id, last_used_at_ms FROM key_uses WHERE key_id IN (SELECT value FROM json_each(?))',
  /** By api_keys_of_tenant. */
  openKeys: `SELECT id FROM api_keys WHERE tenant_id = ? AND deleted_at_ms IS NULL AND id NOT IN (SELECT value FROM json_each(?)) LIMIT ?`,
} as const;

const sql = makeGovernanceSql({
  placeholder: () => '?',
  text: (field) => `json_extract(body, '$.${field}')`,
  whole: (field) => `json_extract(body, '$.${field}')`,
  contains: (text, part) => `instr(lower(${text}), ${part}) > 0`,
});

/** Queries of the governance surface, on a reading connection. Their texts differ by what is asked for, so they are prepared as they come. */
export function makeGovernanceQueries(
  db: Database,
): Pick<Queries, 'tenantPage' | 'tenantCount' | 'tenantKeyPage' | 'keyUses' | 'openThings'> {
  const texts = ({ text, values }: BoundSql): string[] =>
    db
      .prepare<unknown[], string>(text)
      .pluck()
      .all(...values);
  const openIds = (text: string) => {
    const statement = db.prepare<[string, string, number], string>(text).pluck();
    return (tenantId: string, except: readonly string[], limit: number): string[] => statement.all(tenantId, JSON.stringify(except), limit);
  };
  const budgets = db.prepare<[string, string, number], { scope: string; unit: string }>(GOVERNANCE_SQL.openBudgets);
  const open = {
    reservation: openIds(GOVERNANCE_SQL.openReservations),
    webhook: openIds(GOVERNANCE_SQL.openWebhooks),
    key: openIds(GOVERNANCE_SQL.openKeys),
    budget: (tenantId: string, except: readonly string[], limit: number): string[] =>
      budgets.all(tenantId, JSON.stringify(except), limit).map(({ scope, unit }) => budgetId(tenantId, scope, unit)),
  };
  const uses = db.prepare<[string], { key_id: string; last_used_at_ms: number }>(GOVERNANCE_SQL.keyUses);
  return {
    keyUses: (ids) => new Map(uses.all(JSON.stringify(ids)).map((row) => [row.key_id, row.last_used_at_ms])),
    tenantPage: (query) => texts(sql.tenantPage(query)).map((body) => recordFromBody<'tenant'>(body)),
    tenantCount: (filter) => {
      const { text, values } = sql.tenantCount(filter);
      return (
        db
          .prepare<unknown[], number>(text)
          .pluck()
          .get(...values) ?? 0
      );
    },
    tenantKeyPage: (query) => texts(sql.tenantKeyPage(query)).map((body) => recordFromBody<'key'>(body)),
    openThings: ({ kind, tenantId, except, limit }) => open[kind](tenantId, except, limit),
  };
}

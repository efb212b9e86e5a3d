import type { Database } from 'better-sqlite3';
import type { BudgetFilter, BudgetQuery } from '../../../core/budgets/budget-query.ts';
import { accountId, type Account } from '../../../core/ledger/account.ts';
import { accountFromRow, type AccountRow } from '../../_shared/account-row.ts';
import { countClauses, indexFor, listClauses, partsOf, type BoundValue, type BudgetDialect } from '../../_shared/budget-list.ts';
import { recordFromBody } from '../../_shared/record-tables.ts';
import type { Queries } from '../messages.ts';
import { LAST_BATCH_MS } from '../store-time.ts';

/** A dialect whose values are gathered in `values`. */
const dialectFor = (values: BoundValue[]): BudgetDialect => ({
  bind: (value) => {
    values.push(value);
    return '?';
  },
  positionIn: (haystack, needle) => `instr(${haystack}, ${needle})`,
  isOverLimit: 'is_over_limit = 1',
  utilization: 'CASE WHEN allocated > 0 THEN CAST(spent AS REAL) / allocated ELSE 0.0 END',
});

/** A statement with the values that it binds. */
export interface BoundStatement {
  readonly sql: string;
  readonly values: readonly BoundValue[];
}

/** The statements of a list of budgets, one for each of its parts, of which each is read for `limit` rows at most. */
export const budgetListSql = (query: BudgetQuery): readonly BoundStatement[] =>
  partsOf(query).map((part) => {
    const values: BoundValue[] = [];
    const clauses = listClauses(query, part, dialectFor(values));
    return { sql: `SELECT * FROM accounts INDEXED BY ${indexFor(query, part)} ${clauses} LIMIT ${query.limit}`, values };
  });

/** The statement that counts budgets. By what its filter names; a count reads every row that it counts. */
const budgetCountSql = (filter: BudgetFilter): BoundStatement => {
  const values: BoundValue[] = [];
  const index = indexFor({ ...filter, sortBy: 'tenant_id', descending: false, after: null, limit: 0 }, { used: 'any', after: null });
  return { sql: `SELECT count(*) FROM accounts INDEXED BY ${index} ${countClauses(filter, dialectFor(values))}`, values };
};

/** The statements whose text is always the same. */
export const BUDGET_SQL = {
  /** By budgets_by_period and budgets_by_use. The time is never below that of a batch. */
  staleBudgets: `
    SELECT tenant_id, kind, scope, unit, period FROM (
      SELECT * FROM accounts INDEXED BY budgets_by_period
        WHERE terms IS NOT NULL AND status <> 'CLOSED' AND terms ->> 'periodEndMs' <= max(?, ${LAST_BATCH_MS})
      UNION ALL
      SELECT * FROM accounts INDEXED BY budgets_by_use
        WHERE kind = 'budget' AND allocated IS NOT NULL AND used_percent IS NULL
    ) LIMIT ?`,
  /** By policies_of_tenant, which gives the order as well. */
  policies: 'SELECT body FROM policies WHERE tenant_id = ? AND id > ? ORDER BY id LIMIT ?',
  /** The same, of one status or pattern. */
  somePolicies: `
    SELECT body FROM policies WHERE tenant_id = ? AND id > ?
      AND coalesce(body ->> 'status' = ?, true) AND coalesce(body ->> 'scopePattern' = ?, true)
    ORDER BY id LIMIT ?`,
} as const;

type BudgetQueries = Pick<Queries, 'budgets' | 'countBudgets' | 'staleBudgets' | 'policies'>;

/** Queries of budgets and policies, on a reading connection. */
export function makeBudgetQueries(db: Database): BudgetQueries {
  const stale = db.prepare<[number, number], Pick<AccountRow, 'tenant_id' | 'kind' | 'scope' | 'unit' | 'period'>>(BUDGET_SQL.staleBudgets);
  const policies = db.prepare<[string, string, number], string>(BUDGET_SQL.policies).pluck();
  const somePolicies = db.prepare<[string, string, string | null, string | null, number], string>(BUDGET_SQL.somePolicies).pluck();
  const rowsOf = ({ sql, values }: BoundStatement): AccountRow[] =>
    db
      .prepare<BoundValue[], AccountRow>(sql)
      .safeIntegers()
      .all(...values);

  return {
    // In one snapshot, so that no budget is in both parts of a list.
    budgets: db.transaction((query: BudgetQuery): Account[] => {
      const found: Account[] = [];
      for (const statement of budgetListSql(query)) {
        if (found.length >= query.limit) break;
        found.push(...rowsOf(statement).map(accountFromRow));
      }
      return found.slice(0, query.limit);
    }),
    countBudgets: (filter) => {
      const { sql, values } = budgetCountSql(filter);
      return (
        db
          .prepare<BoundValue[], number>(sql)
          .pluck()
          .get(...values) ?? 0
      );
    },
    staleBudgets: ({ limit, clockMs }) =>
      stale.all(clockMs, limit).map(({ tenant_id: tenantId, kind, scope, unit, period }) => ({
        tenantId,
        accountId: accountId({ tenantId, kind: kind as Account['kind'], scope, unit, period }),
      })),
    policies: ({ tenantId, afterId = '', limit, status, scopePattern }) => {
      const bodies =
        status === undefined && scopePattern === undefined
          ? policies.all(tenantId, afterId, limit)
          : somePolicies.all(tenantId, afterId, status ?? null, scopePattern ?? null, limit);
      return bodies.map((body) => recordFromBody<'policy'>(body));
    },
  };
}

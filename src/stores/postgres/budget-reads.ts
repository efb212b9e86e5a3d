import type { BudgetFilter, BudgetQuery } from '../../core/budgets/budget-query.ts';
import { accountId, type Account } from '../../core/ledger/account.ts';
import type { Clock } from '../../ports/clock.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import { ACCOUNT_COLUMNS, accountFromRow, type AccountRow } from '../_shared/account-row.ts';
import { countClauses, listClauses, partsOf, type BoundValue, type BudgetDialect } from '../_shared/budget-list.ts';
import { recordFromBody } from '../_shared/record-tables.ts';
import type { Reader } from './reader.ts';
import { SERVER_NOW_MS, type Statement } from './statement.ts';

const TYPES = { text: 'text', bigint: 'bigint', double: 'double precision' } as const;

const dialectFor = (values: BoundValue[]): BudgetDialect => ({
  bind: (value, type) => {
    values.push(value);
    return `$${values.length}::${TYPES[type]}`;
  },
  positionIn: (haystack, needle) => `strpos(${haystack}, ${needle})`,
  isOverLimit: 'is_over_limit',
  utilization: 'CASE WHEN allocated > 0 THEN spent::double precision / allocated::double precision ELSE 0 END',
});

/** A statement with the values that it binds. */
export interface BoundStatement {
  readonly text: string;
  readonly values: readonly BoundValue[];
}

/**
 * The statements of a list of budgets, one for each of its parts. Indexes: budgets_by_<order>, budgets_owing, budgets_over_limit; the
 * planner is told the limit, since it decides by it whether an index that gives the order is worth its while.
 */
export const budgetListSql = (query: BudgetQuery): readonly BoundStatement[] =>
  partsOf(query).map((part) => {
    const values: BoundValue[] = [];
    const clauses = listClauses(query, part, dialectFor(values));
    return { text: `SELECT no, ${ACCOUNT_COLUMNS.join(', ')} FROM accounts ${clauses} LIMIT ${query.limit}`, values };
  });

const countSql = (filter: BudgetFilter): BoundStatement => {
  const values: BoundValue[] = [];
  return { text: `SELECT count(*) AS found FROM accounts ${countClauses(filter, dialectFor(values))}`, values };
};

// By the server's time, asked once, unless $1 replaces it. Indexes: budgets_by_period, budgets_by_use.
const STALE_BUDGETS: Statement = {
  name: 'stale_budgets',
  text: `
    SELECT tenant_id, kind, scope, unit, period FROM (
      SELECT tenant_id, kind, scope, unit, period FROM accounts
        WHERE terms IS NOT NULL AND status <> 'CLOSED'
          AND (terms ->> 'periodEndMs')::bigint <= (SELECT coalesce($1::bigint, ${SERVER_NOW_MS}))
      UNION ALL
      SELECT tenant_id, kind, scope, unit, period FROM accounts
        WHERE kind = 'budget' AND allocated IS NOT NULL AND used_percent IS NULL
    ) AS stale LIMIT $2`,
};

// Index: policies_of_tenant.
const POLICIES: Statement = {
  name: 'policies',
  text: `
    SELECT body FROM policies WHERE tenant_id = $1 AND id > $2
      AND ($3::text IS NULL OR body ->> 'status' = $3) AND ($4::text IS NULL OR body ->> 'scopePattern' = $4)
    ORDER BY tenant_id, id LIMIT $5`,
};

type BudgetReads = Pick<RecordStore, 'budgets' | 'countBudgets' | 'staleBudgets' | 'policies'>;

/** Makes the reads of budgets and policies. `clock` replaces the server's time. */
export function makeBudgetReads(reader: Reader, clock: Clock | undefined): BudgetReads {
  // Without a name: of so many texts none is worth being kept prepared.
  const rowsOf = <R extends object>({ text, values }: BoundStatement): Promise<R[]> => reader.rows<R>({ name: '', text }, values);
  return {
    async budgets(query) {
      const found: Account[] = [];
      for (const statement of budgetListSql(query)) {
        if (found.length >= query.limit) break;
        found.push(...(await rowsOf<AccountRow>(statement)).map(accountFromRow));
      }
      return found.slice(0, query.limit);
    },
    async countBudgets(filter) {
      const [row] = await rowsOf<{ found: bigint }>(countSql(filter));
      return Number(row?.found ?? 0n);
    },
    async staleBudgets({ limit }) {
      const rows = await reader.rows<Pick<AccountRow, 'tenant_id' | 'kind' | 'scope' | 'unit' | 'period'>>(STALE_BUDGETS, [
        clock?.nowMs() ?? null,
        limit,
      ]);
      return rows.map(({ tenant_id: tenantId, kind, scope, unit, period }) => ({
        tenantId,
        accountId: accountId({ tenantId, kind: kind as Account['kind'], scope, unit, period }),
      }));
    },
    async policies({ tenantId, afterId = '', limit, status, scopePattern }) {
      const values = [tenantId, afterId, status ?? null, scopePattern ?? null, limit];
      return (await reader.rows<{ body: string }>(POLICIES, values)).map(({ body }) => recordFromBody<'policy'>(body));
    },
  };
}

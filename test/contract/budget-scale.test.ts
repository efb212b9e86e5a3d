import Database from 'better-sqlite3';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUDGET_SORT_KEYS, positionOf, type BudgetFilter, type BudgetQuery } from '../../src/core/budgets/budget-query.ts';
import { conditionsOf } from '../../src/core/cycles/scope.ts';
import type { Account } from '../../src/core/ledger/account.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';
import { loadMigrations } from '../../src/stores/_shared/migrations.ts';
import { budgetListSql as postgresSql } from '../../src/stores/postgres/budget-reads.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { migrate } from '../../src/stores/sqlite/migrate.ts';
import { BUDGET_SQL, budgetListSql, makeBudgetQueries } from '../../src/stores/sqlite/queries/budget-queries.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';

const BUDGETS = 12_000;
const PAGE = 50;
/** A page may read this many rows at most: its own, those of its last percent, and a few that a filter leaves out. */
const MOST_ROWS = 1000;

/**
 * Budgets of a hundred tenants, most of them in good order, some used up, few frozen or in debt; between them as many caps of keys. `series`
 * gives the numbers from 1 on as the column `n`, `flag` a truth value.
 */
const insertRows = (dialect: { series: string; flag: (condition: string) => string }): string => {
  const spent = `CASE WHEN n % 3 = 0 THEN 0 ELSE n % 1000 END`;
  const debt = `CASE WHEN n % 1009 = 0 THEN n % 77 + 1 ELSE 0 END`;
  const rest = `'', 1000, ${spent}, 0, ${debt}, 0, ${dialect.flag('n % 2003 = 0')}`;
  return `
    INSERT INTO accounts (tenant_id, kind, scope, unit, period, allocated, spent, reserved, debt, overdraft_limit, is_over_limit, status,
      overage_policy, created_at_ms, terms_sum, journal_sum, used_percent)
    ${dialect.series}
    SELECT 'tenant-' || (n % 100), 'budget', 'tenant:tenant-' || (n % 100) || '/app:a' || ((n / 100) % 10) || '/agent:' || (n / 1000),
      CASE WHEN n % 10 = 0 THEN 'CREDITS' ELSE 'TOKENS' END, ${rest},
      CASE WHEN n % 503 = 0 THEN 'FROZEN' WHEN n % 701 = 0 THEN 'CLOSED' ELSE 'ACTIVE' END,
      CASE WHEN n % 5 = 0 THEN 'REJECT' END, 1, 0, 0, (${spent} + 9) / 10
    FROM numbers
    UNION ALL
    SELECT 'tenant-' || (n % 100), 'key_cap', 'key:key_' || n, 'TOKENS', ${rest}, 'ACTIVE', NULL, 1, 0, 0, NULL FROM numbers`;
};

/** Lists whose pages cost the same behind any number of budgets. */
const FLAT: readonly (readonly [string, BudgetFilter & Partial<Pick<BudgetQuery, 'sortBy' | 'descending'>>])[] = [
  ['all of them', {}],
  ...BUDGET_SORT_KEYS.flatMap((sortBy) => [
    [`all by ${sortBy}`, { sortBy }] as const,
    [`all by ${sortBy}, from the other end`, { sortBy, descending: true }] as const,
  ]),
  ['those of a tenant', { tenantId: 'tenant-7' }],
  ['those of a tenant by scope', { tenantId: 'tenant-7', sortBy: 'scope' }],
  ['those of a tenant by use', { tenantId: 'tenant-7', sortBy: 'utilization', descending: true }],
  ['those of a tenant by debt', { tenantId: 'tenant-7', sortBy: 'debt', descending: true }],
  ['those below a scope', { tenantId: 'tenant-7', scopePrefix: 'tenant:tenant-7/app:a3' }],
  ['those that a key covers', { tenantId: 'tenant-7', scopes: conditionsOf(['app:a3', 'agent:*']) }],
  ['those in a unit', { unit: 'CREDITS' }],
  ['frozen ones', { status: 'FROZEN' }],
  ['active ones', { status: 'ACTIVE' }],
  ['frozen ones by use', { status: 'FROZEN', sortBy: 'utilization', descending: true }],
  ['active ones of a tenant', { tenantId: 'tenant-7', status: 'ACTIVE' }],
  ['those over their limit', { isOverLimit: true }],
  ['those in debt', { hasDebt: true }],
  ['those in debt, the deepest first', { hasDebt: true, sortBy: 'debt', descending: true }],
  ['nearly used up ones, most used first', { utilizationMin: 0.99, sortBy: 'utilization', descending: true }],
  ['nearly used up ones of a tenant', { tenantId: 'tenant-7', utilizationMin: 0.9 }],
];

const queryOf = (parts: (typeof FLAT)[number][1]): BudgetQuery => ({
  sortBy: 'tenant_id',
  descending: false,
  after: null,
  limit: PAGE,
  ...parts,
});

/** The queries of a first page and of one from further on. */
async function pagesOf(store: Pick<RecordStore, 'budgets'>, parts: (typeof FLAT)[number][1]): Promise<BudgetQuery[]> {
  const first = queryOf(parts);
  const page: Account[] = await store.budgets(first);
  expect(page.length).toBeGreaterThan(0);
  const last = page.at(-1) as Account;
  return [first, { ...first, after: positionOf(last, first.sortBy) }];
}

describe(`lists of ${BUDGETS} budgets on SQLite`, () => {
  let db: Database.Database;
  let store: Pick<RecordStore, 'budgets'>;
  beforeAll(() => {
    db = new Database(':memory:');
    migrate(db, loadMigrations('sqlite'), { hit: () => undefined });
    const series = `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${BUDGETS})`;
    db.exec(insertRows({ series, flag: (condition) => `(${condition})` }));
    const queries = makeBudgetQueries(db);
    store = { budgets: (query) => Promise.resolve(queries.budgets(query)) };
  });
  afterAll(() => db.close());

  const planOf = (sql: string, values: readonly unknown[] = []): string[] =>
    db
      .prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`)
      .all(...values)
      .map(({ detail }) => detail);

  test.each(FLAT)('find %s by an index', async (_what, parts) => {
    for (const query of await pagesOf(store, parts)) {
      for (const { sql, values } of budgetListSql(query)) {
        const plan = planOf(sql, values);
        expect(plan[0]).toMatch(/^(?:SEARCH|SCAN) accounts USING INDEX budgets_/);
        // A whole index is walked only in its order, and the page ends the walk; or it holds few.
        const walks = plan[0]?.startsWith('SCAN') === true && !/budgets_(?:owing|over_limit)/.test(plan[0]);
        if (walks) expect(plan).toHaveLength(1);
        // What is sorted is a tenant's, or few by the filter, or those of one percent.
        const sorts = plan.filter((line) => line.startsWith('USE TEMP B-TREE'));
        const isFew = query.tenantId !== undefined || query.isOverLimit === true || query.hasDebt === true || query.status === 'FROZEN';
        expect(sorts.filter((line) => !isFew && !line.includes('PART OF ORDER BY') && !line.includes('TERM'))).toEqual([]);
      }
    }
  });

  test('find those whose period is over, and policies, by an index', () => {
    expect(planOf(BUDGET_SQL.staleBudgets, [1, 2]).filter((line) => line.includes('accounts'))).toEqual([
      expect.stringContaining('SEARCH accounts USING INDEX budgets_by_period (<expr><?)'),
      expect.stringContaining('SEARCH accounts USING INDEX budgets_by_use (used_percent=?)'),
    ]);
    expect(planOf(BUDGET_SQL.policies, ['t', '', 1])).toEqual(['SEARCH policies USING INDEX policies_of_tenant (tenant_id=? AND id>?)']);
    expect(planOf(BUDGET_SQL.somePolicies, ['t', '', null, null, 1])).toEqual([
      'SEARCH policies USING INDEX policies_of_tenant (tenant_id=? AND id>?)',
    ]);
  });
});

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** The most rows that any part of a plan met. */
const mostRows = (node: PlanNode): number =>
  Math.max((node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'], ...(node.Plans ?? []).map(mostRows));

describePostgres(`lists of ${BUDGETS} budgets on PostgreSQL`, () => {
  let cluster: PostgresCluster;
  let client: pg.Client;
  let store: Awaited<ReturnType<typeof openPostgresStore>>;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
    const url = await cluster.createDatabase();
    store = await openPostgresStore({ url });
    // As the store's own readers plan.
    client = new pg.Client({
      connectionString: url,
      options: '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off',
    });
    await client.connect();
    await client.query(
      insertRows({ series: `WITH numbers AS (SELECT generate_series(1, ${BUDGETS}) AS n)`, flag: (condition) => condition }),
    );
    await client.query('ANALYZE accounts');
  }, 120_000);
  afterAll(async () => {
    await client.end();
    await store.close();
    await cluster.stop();
  });

  test.each(FLAT)('find %s and read few more than they show', async (_what, parts) => {
    for (const query of await pagesOf(store, parts)) {
      for (const { text, values } of postgresSql(query)) {
        const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, [...values]);
        expect(mostRows((rows[0] as { 'QUERY PLAN': [{ Plan: PlanNode }] })['QUERY PLAN'][0].Plan)).toBeLessThan(MOST_ROWS);
      }
    }
  });
});

import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadMigrations } from '../../src/stores/_shared/migrations.ts';
import { migrate } from '../../src/stores/sqlite/migrate.ts';
import { GOVERNANCE_SQL, makeGovernanceQueries } from '../../src/stores/sqlite/queries/governance-queries.ts';
import { OVERVIEW_SQL } from '../../src/stores/sqlite/queries/overview-queries.ts';

const db = new Database(':memory:');
const statements: string[] = [];

beforeAll(() => {
  migrate(db, loadMigrations('sqlite'), { hit: () => undefined });
});
afterAll(() => db.close());

/** The plans of the statements that a query prepares when it is asked. */
function plansOf(ask: (queries: ReturnType<typeof makeGovernanceQueries>) => void): string[] {
  const recording = new Proxy(db, {
    get: (target, name) => {
      if (name === 'prepare') return (sql: string) => (statements.push(sql), target.prepare(sql));
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
  const queries = makeGovernanceQueries(recording);
  statements.length = 0;
  ask(queries);
  return statements.flatMap(planOf);
}

const planOf = (sql: string): string[] =>
  db
    .prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql.replaceAll(/\?|@\w+/g, 'NULL')}`)
    .all()
    .map(({ detail }) => detail);

test('the overview reads no reservation, and of what it counts nothing but entries of an index', () => {
  const plans = Object.fromEntries(Object.entries(OVERVIEW_SQL).map(([name, sql]) => [name, planOf(sql).join('; ')]));
  expect(plans).toEqual({
    tallies: 'SCAN tallies',
    overLimit: 'SCAN accounts USING INDEX budgets_over_limit',
    withDebt: 'SCAN accounts USING INDEX budgets_owing',
    overLimitBudgets: 'SCAN accounts USING INDEX budgets_over_limit; USE TEMP B-TREE FOR ORDER BY',
    debtBudgets: 'SEARCH accounts USING INDEX budgets_by_debt (debt>?)',
    webhooks: expect.stringContaining('webhooks') as string,
    failing: expect.stringContaining('webhook_health') as string,
    failingWebhooks: expect.stringContaining('webhook_health') as string,
    events: expect.stringMatching(/^SEARCH events USING COVERING INDEX events_by_type \(type=\? AND at_ms>\?\)/) as string,
    denialReasons: expect.stringMatching(/^SEARCH events USING INDEX events_by_type \(type=\? AND at_ms>\?\)/) as string,
    denials: 'SEARCH events USING INDEX events_by_type (type=? AND at_ms>?)',
    expiries: 'SEARCH events USING INDEX events_by_type (type=? AND at_ms>?)',
  });
});

const after = { value: 5, id: 'x' };

test.each([
  ['created_at', /USING INDEX tenants_by_creation/],
  ['name', /USING INDEX tenants_by_name/],
  ['status', /USING INDEX tenants_by_status/],
  ['tenant_id', /USING (PRIMARY KEY|INDEX sqlite_autoindex_tenants)/],
] as const)('tenants by %s are read in the order of an index, from where the page before ended', (sortBy, index) => {
  for (const descending of [true, false]) {
    const first = plansOf((queries) => void queries.tenantPage({ sortBy, descending, after: null, limit: 10, search: null }));
    expect(first.join('\n')).not.toContain('TEMP B-TREE');
    const next = plansOf((queries) => void queries.tenantPage({ sortBy, descending, after, limit: 10, search: null }));
    expect(next.join('\n')).toMatch(/^SEARCH tenants/);
    expect(next.join('\n')).toMatch(index);
    expect(next.join('\n')).not.toContain('TEMP B-TREE');
  }
});

test.each([
  [undefined, /^SEARCH api_keys USING INDEX api_keys_of_tenants /],
  ['acme', /^SEARCH api_keys USING INDEX api_keys_of_one_tenant /],
])('keys of %s in the usual order are read from an index', (tenantId, index) => {
  const query = { sortBy: 'created_at', descending: true, after, limit: 10, search: null, nowMs: 1 } as const;
  const plan = plansOf((queries) => void queries.tenantKeyPage({ ...query, ...(tenantId === undefined ? {} : { tenantId }) }));
  expect(plan.join('\n')).toMatch(index);
  expect(plan.join('\n')).not.toContain('TEMP B-TREE');
});

test('what a closed tenant owns is found without reading what others own, or what is settled', () => {
  const tables = /\b(reservations|accounts|webhooks|api_keys|key_uses)\b/;
  for (const [name, sql] of Object.entries(GOVERNANCE_SQL))
    for (const line of planOf(sql).filter((each) => tables.test(each)))
      expect(`${name}: ${line}`).toMatch(
        name === 'openReservations' ? /USING INDEX reservations_due/ : /: SEARCH .* USING (COVERING )?(INDEX|PRIMARY KEY)/,
      );
});

import Database from 'better-sqlite3';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { conditionsOf } from '../../src/core/cycles/scope.ts';
import type { ReservationQuery, ReservationSortKey } from '../../src/core/cycles/reservation-query.ts';
import { loadMigrations } from '../../src/stores/_shared/migrations.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { makeReservationReads } from '../../src/stores/postgres/reservation-reads.ts';
import { migrate } from '../../src/stores/sqlite/migrate.ts';
import { makeReservationQueries } from '../../src/stores/sqlite/queries/reservation-queries.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';

const ROWS = 2000;
const PAGE = 20;
/** States that there are, each of which gives a page of its own to a list of all. */
const STATES = 4;

/** Reservations of four tenants, most of them committed, and among them as many calls of models. `series` gives the numbers from 1 on as `n`. */
const insertRows = (series: string): string => `
  INSERT INTO reservations (id, tenant_id, purpose, state, legs, overage_policy, created_at_ms, expires_at_ms, grace_ms, extensions,
    max_extensions, finalized_at_ms, settled_at_ms, owner_id, context, scope_path, held, request_key)
  ${series}
  SELECT 'rsv_' || (1000000 + n), 'tenant-' || (n % 4), CASE WHEN n % 2 = 0 THEN 'budget' ELSE 'call' END,
    CASE (n / 8) % 8 WHEN 0 THEN 'ACTIVE' WHEN 1 THEN 'RELEASED' WHEN 2 THEN 'EXPIRED' ELSE 'COMMITTED' END,
    '[]', 'REJECT', n * 10, n * 10 + 60000 + (n % 7) * 1000, 5000, 0, 10, n * 10 + 500, n * 10 + 500, '', '""',
    'tenant:tenant-' || (n % 4) || '/app:a' || (n % 10), n % 100, 'key-' || n
  FROM numbers`;

type Parts = Partial<ReservationQuery>;
const queryOf = (parts: Parts): ReservationQuery => ({
  tenantId: 'tenant-2',
  scopes: [],
  sortBy: 'created_at_ms',
  descending: true,
  after: null,
  limit: PAGE,
  ...parts,
});

const bothWays = (name: string, parts: Parts): readonly (readonly [string, Parts])[] => [
  [`${name}, newest first`, { ...parts, descending: true }],
  [`${name}, oldest first`, { ...parts, descending: false }],
];
const from = (value: number | string, id = 'rsv_1001000'): Parts => ({ after: { value, id } });

/** Lists whose pages cost the same behind any number of reservations. */
const FLAT: readonly (readonly [string, Parts])[] = [
  ...bothWays('all by creation', {}),
  ...bothWays('all by creation, from further on', from(10_000)),
  ...bothWays('all by expiry', { sortBy: 'expires_at_ms' }),
  ...bothWays('all by expiry, from further on', { sortBy: 'expires_at_ms', ...from(70_000) }),
  ...(['ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED'] as const).flatMap((state) => [
    ...bothWays(`${state} ones by creation`, { state }),
    ...bothWays(`${state} ones by expiry, from further on`, { state, sortBy: 'expires_at_ms', ...from(70_000) }),
  ]),
  ...bothWays('those made in a window', { created: { from: 5000, to: 9000 } }),
  ...bothWays('those made since', { created: { from: 19_000 } }),
  ...bothWays('those that end in a window, by expiry', { sortBy: 'expires_at_ms', expires: { from: 65_000, to: 69_000 } }),
  ...bothWays('those below an app', { scopes: conditionsOf(['app:a2']) }),
  ['that of a key of idempotency', { requestKey: 'key-1002' }],
  ['that of a key of idempotency in a state', { requestKey: 'key-1002', state: 'COMMITTED' }],
];

/** Where a page of active ones ended, either way. */
const FROM_OF: Readonly<Partial<Record<ReservationSortKey, Parts>>> = {
  reservation_id: from('', 'rsv_1001000'),
  tenant: from('', 'rsv_1001000'),
  scope_path: from('tenant:tenant-2/app:a4'),
  status: from('ACTIVE'),
  reserved: from('50'),
};
const SORTS: readonly ReservationSortKey[] = ['reservation_id', 'tenant', 'scope_path', 'status', 'reserved'];

/** Lists that look at what their tenant has, sort it where they must, and never at what is another's, or a call of a model. */
const OF_TENANT: readonly (readonly [string, Parts])[] = [
  ...SORTS.flatMap((sortBy) => [
    ...bothWays(`all by ${sortBy}`, { sortBy }),
    ...bothWays(`active ones by ${sortBy}, from further on`, {
      sortBy,
      state: 'ACTIVE',
      ...FROM_OF[sortBy],
    }),
  ]),
  ...bothWays('those that end in a window, by creation', { expires: { from: 65_000, to: 69_000 } }),
  ...bothWays('those that were settled in a window', { finalized: { from: 5000, to: 9000 } }),
  ...bothWays('those that were settled in a window, by expiry', { sortBy: 'expires_at_ms', finalized: { from: 5000, to: 9000 } }),
];

const OF_INDEX = /USING INDEX reservations_(?:listed|expiring|of_request) \(tenant_id=\?/;

describe(`lists of reservations among ${ROWS} on SQLite`, () => {
  const db = new Database(':memory:');
  const statements: string[] = [];
  beforeAll(() => {
    migrate(db, loadMigrations('sqlite'), { hit: () => undefined });
    db.exec(insertRows(`WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${ROWS})`));
  });
  afterAll(() => db.close());

  /** The plan of a list, and how many rows it gives. */
  const planOf = (parts: Parts): { plan: string[]; found: number } => {
    const recording = new Proxy(db, {
      get: (target, name) => {
        if (name === 'prepare') return (sql: string) => (statements.push(sql), target.prepare(sql));
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const { reservations } = makeReservationQueries(recording);
    statements.length = 0;
    const found = reservations(queryOf(parts)).length;
    const [sql = ''] = statements;
    const values = [...sql.matchAll(/\?/g)].map(() => 'x');
    const plan = db.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all(...values);
    return { plan: plan.map(({ detail }) => detail), found };
  };

  test.each(FLAT)('%s: found by an index that gives the order', (_what, parts) => {
    const { plan, found } = planOf(parts);
    expect(found).toBeGreaterThan(0);
    const reads = plan.filter((line) => /\breservations\b/.test(line));
    expect(reads.length).toBeGreaterThan(0);
    for (const line of reads) expect(line).toMatch(OF_INDEX);
    // A page of each state is sorted with those of the others, but none is sorted to find it: that would come right behind the read.
    const sorted = plan.filter((line, index) => line.startsWith('USE TEMP B-TREE') && reads.includes(plan[index - 1] ?? ''));
    expect(sorted).toEqual([]);
    if (parts.requestKey === undefined) for (const line of reads) expect(line).toContain('state=?');
  });

  test.each(OF_TENANT)('%s: found among what the tenant has', (_what, parts) => {
    const { plan, found } = planOf(parts);
    expect(found).toBeGreaterThan(0);
    for (const line of plan.filter((each) => /\breservations\b/.test(each))) expect(line).toMatch(OF_INDEX);
  });
});

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

const nodesOf = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

describePostgres(`lists of reservations among ${ROWS} on PostgreSQL`, () => {
  let cluster: PostgresCluster;
  let client: pg.Client;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
    const url = await cluster.createDatabase();
    // It makes the tables.
    await (await openPostgresStore({ url })).close();
    // As the store's own readers plan.
    client = new pg.Client({
      connectionString: url,
      options: '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off',
    });
    await client.connect();
    await client.query(insertRows(`WITH numbers AS (SELECT generate_series(1, ${ROWS}) AS n)`));
    await client.query('ANALYZE reservations');
  }, 120_000);
  afterAll(async () => {
    await client.end();
    await cluster.stop();
  });

  /** What a list reads of the table, node by node of its plan. */
  async function readsOf(parts: Parts): Promise<{ nodes: PlanNode[]; found: number }> {
    const captured: { text: string; values: readonly unknown[] }[] = [];
    const reader = {
      rows: (statement: { text: string }, values: readonly unknown[] = []) => {
        captured.push({ text: statement.text, values });
        return Promise.resolve([]);
      },
    };
    await makeReservationReads(reader as never).reservations(queryOf(parts));
    const { text, values } = captured[0] as (typeof captured)[number];
    const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, [...values]);
    const root = (rows[0] as { 'QUERY PLAN': [{ Plan: PlanNode }] })['QUERY PLAN'][0].Plan;
    return {
      nodes: nodesOf(root).filter((node) => node['Relation Name'] === 'reservations' || node['Index Name'] !== undefined),
      found: root['Actual Rows'],
    };
  }
  const rowsRead = (nodes: readonly PlanNode[]): number =>
    nodes
      .filter((node) => node['Relation Name'] === 'reservations')
      .reduce((sum, node) => sum + (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'], 0);

  test.each(FLAT)('%s: found by an index, and few more are read than are shown', async (_what, parts) => {
    const { nodes, found } = await readsOf(parts);
    expect(found).toBeGreaterThan(0);
    // A filter by app lets a fifth through.
    const share = parts.scopes === undefined ? 1 : 6;
    expect(rowsRead(nodes)).toBeLessThanOrEqual(STATES * (PAGE + 1) * share);
    expect(nodes.map((node) => node['Node Type'])).not.toContain('Seq Scan');
  });

  test.each(OF_TENANT)('%s: found among what the tenant has', async (_what, parts) => {
    const { nodes, found } = await readsOf(parts);
    expect(found).toBeGreaterThan(0);
    expect(rowsRead(nodes)).toBeLessThanOrEqual(ROWS / 4);
    expect(nodes.map((node) => node['Node Type'])).not.toContain('Seq Scan');
  });
});

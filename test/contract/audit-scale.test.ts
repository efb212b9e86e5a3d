import Database from 'better-sqlite3';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { AUDIT_SORT_KEYS, auditPosition, type AuditFilter, type AuditQuery, type StoredAudit } from '../../src/core/audit/audit-query.ts';
import { loadMigrations } from '../../src/stores/_shared/migrations.ts';
import { auditListSql as postgresSql } from '../../src/stores/postgres/audit-reads.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { migrate } from '../../src/stores/sqlite/migrate.ts';
import { auditListSql, makeAuditQueries } from '../../src/stores/sqlite/queries/audit-queries.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';

const ROWS = 20_000;
const PAGE = 50;
/** A page may read this many rows at most: its own, for each value of a list, and the few that a second filter leaves out. */
const MOST_ROWS = 1000;

/** Rows of twenty tenants, one of each hundred refused; `series` gives the numbers from 1 on as the column `n`, `padded` a number with zeros. */
const insertRows = ({ series, padded, json }: { series: string; padded: (n: string) => string; json: string }): string => `
  INSERT INTO audit (id, tenant_id, at_ms, operation, actor_kind, actor_id, resource_kind, resource_id, request_id, code, metadata,
    trace_id, http_status, error_code, no, previous, hash)
  ${series}
  SELECT 'aud_' || n, 'tenant-' || (n % 20), n, CASE WHEN n % 50 = 0 THEN 'createTenant' ELSE 'fundBudget' END, 'tenant_key',
    'key_' || (n % 200), CASE WHEN n % 50 = 0 THEN 'tenant' ELSE 'budget' END, 'bud_' || (n % 1000), 'req_' || n,
    CASE WHEN n % 100 = 0 THEN 'conflict' END, ${json}, ${padded('n')}, CASE WHEN n % 100 = 0 THEN 409 WHEN n % 3 = 0 THEN 201 ELSE 200 END,
    CASE WHEN n % 100 = 0 THEN 'CONFLICT' END, n, '', 'h'
  FROM numbers`;

/** Lists whose pages cost the same however long the trail is. */
const FLAT: readonly (readonly [string, AuditFilter & Partial<Pick<AuditQuery, 'sortBy' | 'descending'>>, RegExp])[] = [
  ['all of it', {}, /audit_by_time/],
  ...AUDIT_SORT_KEYS.flatMap((sortBy) =>
    [true, false].map(
      (descending) => [`all by ${sortBy}, ${descending ? 'last' : 'first'} first`, { sortBy, descending }, /audit_by_/] as const,
    ),
  ),
  ['a tenant’s', { tenantId: 'tenant-7' }, /audit_by_tenant/],
  ['what a key did', { keyId: 'key_7' }, /audit_by_actor/],
  ['one operation', { operations: ['createTenant'] }, /audit_by_operation/],
  ['several operations', { operations: ['createTenant', 'fundBudget', 'nothing'] }, /audit_by_operation/],
  ['a kind of things', { resourceKinds: ['tenant'] }, /audit_by_kind/],
  ['a thing', { resourceId: 'bud_7' }, /audit_by_thing/],
  ['an error', { errorCodes: ['CONFLICT'] }, /audit_by_error/],
  ['all but an error', { exceptErrorCodes: ['CONFLICT'] }, /audit_by_time/],
  ['a status', { status: { min: 409, max: 409 } }, /audit_by_status/],
  ['all that was refused', { status: { min: 400, max: 599 } }, /audit_by_status/],
  ['all that was done', { status: { min: 200, max: 299 } }, /audit_by_status/],
  ['a stretch of time', { fromMs: 5000, toMs: 15_000 }, /audit_by_time/],
  ['a stretch of a tenant’s time', { tenantId: 'tenant-7', fromMs: 5000, toMs: 15_000 }, /audit_by_tenant/],
  ['a trace', { traceId: '0'.repeat(28) + '0077' }, /audit_of_trace/],
  ['a request', { requestId: 'req_77' }, /audit_of_request/],
];

const queryOf = (parts: (typeof FLAT)[number][1]): AuditQuery => ({
  sortBy: 'timestamp',
  descending: true,
  after: null,
  limit: PAGE,
  ...parts,
});

/** The queries of a first page and of one from further on. */
function pagesFrom(query: AuditQuery, page: readonly StoredAudit[]): AuditQuery[] {
  const last = page.at(-1);
  if (last === undefined) throw new Error('the list is empty');
  return [query, { ...query, after: auditPosition(last, query.sortBy) }];
}

/** The statuses that there are in the range of a query. */
const statusesIn = ({ status }: AuditQuery): number[] | null =>
  status === undefined ? null : [200, 201, 409].filter((each) => each >= status.min && each <= status.max);

describe(`lists of ${ROWS} rows of the trail on SQLite`, () => {
  let db: Database.Database;
  let queries: ReturnType<typeof makeAuditQueries>;
  beforeAll(() => {
    db = new Database(':memory:');
    migrate(db, loadMigrations('sqlite'), { hit: () => undefined });
    const series = `WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ${ROWS})`;
    db.exec(insertRows({ series, padded: (n) => `printf('%032d', ${n})`, json: `'{}'` }));
    queries = makeAuditQueries(db);
  });
  afterAll(() => db.close());

  test.each(FLAT)('find %s by an index, in its order', (_what, parts, index) => {
    const query = queryOf(parts);
    for (const page of pagesFrom(query, queries.auditPage(query))) {
      const { text, values } = auditListSql(page, statusesIn(page));
      const plan = db
        .prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${text}`)
        .all(...values)
        .map(({ detail }) => detail);
      const reads = plan.filter((line) => line.includes(' audit '));
      expect(reads.length).toBeGreaterThan(0);
      for (const line of reads) expect(line).toMatch(index);
      // A list of several values sorts the pages of each; and of a trace or a request there are few.
      const isFew = query.traceId !== undefined || query.requestId !== undefined || reads.length > 1;
      if (!isFew) expect(plan.join('; ')).not.toContain('TEMP B-TREE');
    }
  });

  test('know the statuses that there are without reading the rows that have them', () => {
    const plan = db
      .prepare<[], { detail: string }>(
        'EXPLAIN QUERY PLAN SELECT min(coalesce(http_status, 0)) FROM audit WHERE coalesce(http_status, 0) > 1',
      )
      .all();
    expect(plan[0]?.detail).toContain('audit_by_status');
  });
});

interface PlanNode {
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

/** The most rows that any part of a plan met. */
const mostRows = (node: PlanNode): number =>
  Math.max((node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'], ...(node.Plans ?? []).map(mostRows));

describePostgres(`lists of ${ROWS} rows of the trail on PostgreSQL`, () => {
  let cluster: PostgresCluster;
  let client: pg.Client;
  let store: Awaited<ReturnType<typeof openPostgresStore>>;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
    const url = await cluster.createDatabase();
    store = await openPostgresStore({ url, lanes: 1, readers: 1 });
    // As the store's own readers plan.
    client = new pg.Client({
      connectionString: url,
      options: '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off',
    });
    await client.connect();
    const series = `WITH numbers AS (SELECT generate_series(1, ${ROWS}) AS n)`;
    await client.query(insertRows({ series, padded: (n) => `lpad(${n}::text, 32, '0')`, json: `'{}'::json` }));
    await client.query('ANALYZE audit');
  }, 120_000);
  afterAll(async () => {
    await client.end();
    await store.close();
    await cluster.stop();
  });

  test.each(FLAT)('find %s and read few more than they show', async (_what, parts) => {
    const query = queryOf(parts);
    for (const page of pagesFrom(query, await store.auditPage(query))) {
      const { text, values } = postgresSql(page, statusesIn(page));
      const { rows } = await client.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, values);
      expect(mostRows((rows[0] as { 'QUERY PLAN': [{ Plan: PlanNode }] })['QUERY PLAN'][0].Plan)).toBeLessThan(MOST_ROWS);
    }
  });
});

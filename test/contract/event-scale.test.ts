import Database from 'better-sqlite3';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { StoredEvent } from '../../src/ports/record-store.ts';
import type { EventQuery, EventSort } from '../../src/ports/webhook-store.ts';
import { loadMigrations } from '../../src/stores/_shared/migrations.ts';
import { makeEventReads } from '../../src/stores/postgres/event-lists.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { LOOKUPS_BY_KEY, type Reader } from '../../src/stores/postgres/reader.ts';
import { TYPES } from '../../src/stores/postgres/statement.ts';
import { migrate } from '../../src/stores/sqlite/migrate.ts';
import { makeEventQueries } from '../../src/stores/sqlite/queries/event-queries.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';

const EVENTS = 30_000;
const PAGE = 51;
/** What one page may read at most: of each of its types as many as it shows, and the few of one scope, which are sorted. */
const MOST_ROWS = 3000;
const TYPES_SHOWN = ['budget.created', 'budget.exhausted', 'reservation.denied', 'reservation.expired', 'tenant.updated', 'policy.created'];

/** Events of a hundred tenants, of a type that is told often and others that are not, with the request and trace of each. */
const insertRows = (series: string, hex: string): string => `
  INSERT INTO events (id, tenant_id, type, at_ms, data, scope, request_id, trace_id, correlation_id, delivered_at_ms)
  ${series}
  SELECT 'evt_' || n, 'tenant-' || (n % 100),
    CASE WHEN n % 997 = 0 THEN 'budget.created' WHEN n % 501 = 0 THEN 'tenant.updated' WHEN n % 3 = 0 THEN 'reservation.expired' ELSE 'reservation.denied' END,
    1000 + n / 10, '{}', CASE WHEN n % 501 = 0 THEN NULL ELSE 'tenant:tenant-' || (n % 100) || '/app:a' || ((n / 100) % 30) END,
    'req_' || (n / 5), ${hex}, CASE WHEN n % 50 = 0 THEN 'act_' || (n / 500) END, 1
  FROM numbers`;

type Parts = Partial<Omit<EventQuery, 'after' | 'limit'>>;
const SORTS: readonly EventSort[] = ['timestamp', 'event_type', 'category', 'scope', 'tenant_id'];

/** Lists whose pages cost about the same behind any number of events. */
const FLAT: readonly (readonly [string, Parts])[] = [
  ...SORTS.flatMap((sortBy) =>
    [true, false].map((descending) => [`all by ${sortBy}, ${descending ? 'falling' : 'rising'}`, { sortBy, descending }] as const),
  ),
  ...SORTS.map((sortBy) => [`those of a tenant by ${sortBy}`, { tenantId: 'tenant-7', sortBy }] as const),
  ['those of one type', { types: ['reservation.expired'] }],
  ['those of a rare type', { types: ['budget.created'] }],
  ['those that a tenant sees', { tenantId: 'tenant-7', types: TYPES_SHOWN.slice(0, 5) }],
  ['those of a span', { fromMs: 2000, toMs: 2600 }],
  ['those of a scope', { scope: 'tenant:tenant-7/app:a3' }],
  ['those of a scope and its tenant', { tenantId: 'tenant-7', scope: 'tenant:tenant-7' }],
  ['those of a request', { requestId: 'req_4000' }],
  ['those of a trace', { traceId: `${'0'.repeat(28)}4000` }],
  ['those of an act', { correlationId: 'act_20' }],
];

const queryOf = (parts: Parts, after: EventQuery['after'] = null): EventQuery => ({
  types: TYPES_SHOWN,
  sortBy: 'timestamp',
  descending: true,
  limit: PAGE,
  ...parts,
  after,
});

/** Where the first page of a list ends, and the second begins. */
function endOf(events: readonly StoredEvent[], sortBy: EventSort): EventQuery['after'] {
  const last = events.at(-2);
  if (last === undefined) return null;
  const { event, seq } = last;
  const keys: Readonly<Record<EventSort, string | null>> = {
    timestamp: null,
    event_type: event.type,
    category: event.type.split('.')[0] ?? '',
    scope: event.scope ?? '',
    tenant_id: event.tenantId,
  };
  return { key: keys[sortBy], atMs: event.atMs, seq };
}

describe(`lists of ${EVENTS} events on SQLite`, () => {
  let db: Database.Database;
  const statements = new Set<string>();
  beforeAll(() => {
    db = new Database(':memory:');
    migrate(db, loadMigrations('sqlite'), { hit: () => undefined });
    const numbers = `WITH RECURSIVE numbers(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < ${EVENTS})`;
    db.exec(insertRows(numbers, "printf('%032d', n / 5)"));
  });
  afterAll(() => db.close());

  test.each(FLAT)('find %s by an index, page after page', (_what, parts) => {
    statements.clear();
    const recording = new Proxy(db, {
      get: (target, name) => {
        if (name === 'prepare') return (sql: string) => (statements.add(sql), target.prepare(sql));
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    const { listEvents } = makeEventQueries(recording);
    const first = listEvents(queryOf(parts), 0);
    expect(first).not.toEqual([]);
    listEvents(queryOf(parts, endOf(first, parts.sortBy ?? 'timestamp')), 0);
    const plans = [...statements].map((sql) =>
      db
        .prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql.replaceAll('?', 'NULL')}`)
        .all()
        .map(({ detail }) => detail)
        .join('; '),
    );
    for (const plan of plans) expect(plan).toMatch(/(SEARCH|SCAN) events USING (COVERING )?(INDEX|INTEGER PRIMARY KEY)|SCAN \(subquery/);
    // What an index does not put in order is few: one request, trace or act, or a scope that was counted before.
    const isFew = ['requestId', 'traceId', 'correlationId', 'scope'].some((name) => name in parts);
    if (!isFew) expect(plans.join('\n')).not.toContain('TEMP B-TREE');
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

describePostgres(`lists of ${EVENTS} events on PostgreSQL`, () => {
  let cluster: PostgresCluster;
  let client: pg.Client;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
    const url = await cluster.createDatabase();
    const store = await openPostgresStore({ url });
    await store.close();
    client = new pg.Client({ connectionString: url, options: LOOKUPS_BY_KEY, types: TYPES });
    await client.connect();
    const numbers = `WITH numbers AS (SELECT generate_series(1, ${EVENTS}) AS n)`;
    await client.query(insertRows(numbers, "lpad((n / 5)::text, 32, '0')"));
    await client.query('ANALYZE events');
  }, 120_000);
  afterAll(async () => {
    await client.end();
    await cluster.stop();
  });

  test.each(FLAT)('find %s and read few more than they show', async (_what, parts) => {
    const rows: number[] = [];
    const reader: Pick<Reader, 'rows'> = {
      rows: async <R extends object>({ text }: { readonly text: string }, values: readonly unknown[] = []) => {
        const explained = await client.query<{ 'QUERY PLAN': unknown }>(`EXPLAIN (ANALYZE, FORMAT JSON) ${text}`, [...values]);
        const plan = explained.rows[0]?.['QUERY PLAN'];
        rows.push(
          mostRows((typeof plan === 'string' ? (JSON.parse(plan) as [{ Plan: PlanNode }]) : (plan as [{ Plan: PlanNode }]))[0].Plan),
        );
        return (await client.query<R>(text, [...values])).rows;
      },
    };
    const { listEvents } = makeEventReads(reader as Reader);
    const first = await listEvents(queryOf(parts));
    expect(first).not.toEqual([]);
    await listEvents(queryOf(parts, endOf(first, parts.sortBy ?? 'timestamp')));
    expect(Math.max(...rows)).toBeLessThan(MOST_ROWS);
  });
});

import Database from 'better-sqlite3';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { levelFor, spansFrom, type RollupSpan } from '../../src/core/usage/rollups.ts';
import { USAGE_WINDOWS, windowRange } from '../../src/core/usage/windows.ts';
import type { LedgerStore } from '../../src/ports/ledger-store.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';
import { loadMigrations } from '../../src/stores/_shared/migrations.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { migrate } from '../../src/stores/sqlite/migrate.ts';
import { makeUsageQueries } from '../../src/stores/sqlite/queries/usage-queries.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';

const NOW_MS = Date.parse('2026-11-22T10:07:03.250Z');
const SPAN_MS = 90 * 86_400_000;
const KEYS = 5;
const MODELS = 3;

describe('SQLite: whatever a query of usage reads of the rollups, it finds by whole prefixes of their primary key', () => {
  const db = new Database(':memory:');
  afterAll(() => db.close());

  test('and it reads the raw events only where it was asked for them', () => {
    migrate(db, loadMigrations('sqlite'), { hit: () => undefined });
    const statements: string[] = [];
    const recording = new Proxy(db, {
      get: (target, name) => {
        if (name === 'prepare') return (sql: string) => (statements.push(sql), target.prepare(sql));
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
    makeUsageQueries(recording);
    expect(statements.length).toBeGreaterThan(4);
    const rollupAccess: string[] = [];
    let readsOfEvents = 0;
    for (const sql of statements) {
      const plan = db
        .prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql.replaceAll(/\?|@\w+/g, 'NULL')}`)
        .all()
        .map(({ detail }) => detail);
      rollupAccess.push(...plan.filter((line) => /\busage_rollups\b/.test(line)));
      const ofEvents = plan.filter((line) => /\busage_events\b/.test(line));
      if (ofEvents.length > 0) readsOfEvents += 1;
      for (const line of ofEvents) expect(line).toMatch(/^SEARCH usage_events USING INDEX usage_events_of_tenant \(tenant_id=\?/);
    }
    expect(rollupAccess.length).toBeGreaterThan(4);
    for (const line of rollupAccess)
      expect(line).toMatch(/^SEARCH usage_rollups USING (COVERING INDEX \S+|PRIMARY KEY) \(tenant_id=\? AND level_ms=\?/);
    expect(readsOfEvents).toBe(1);
  });
});

/** A node of a plan as the server's log has it. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly 'Actual Rows'?: number;
  readonly 'Actual Loops'?: number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

const nodesOf = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

/** Buckets that a query's spans name. */
const bucketsIn = (spans: readonly RollupSpan[]): number =>
  spans.reduce((sum, { levelMs, fromMs, toMs }) => sum + Math.max(0, Math.ceil(((toMs ?? NOW_MS + 1) - fromMs) / levelMs)), 0);

describePostgres('PostgreSQL: what a query of usage reads does not depend on how many events lie behind it', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster({
      fsync: false,
      settings: {
        session_preload_libraries: 'auto_explain',
        'auto_explain.log_min_duration': '0',
        'auto_explain.log_analyze': 'on',
        'auto_explain.log_timing': 'off',
        'auto_explain.log_format': 'json',
      },
    });
  });
  afterAll(() => cluster.stop());

  const seed = async (events: number): Promise<LedgerStore & RecordStore> => {
    const url = await cluster.createDatabase();
    const store = await openPostgresStore({ url, clock: { nowMs: () => NOW_MS } });
    const database = new URL(url).pathname.slice(1);
    await cluster.sql(
      `INSERT INTO usage_tail (id, tenant_id, key_id, model, upstream_id, price_id, route, at_ms, held_at_ms, requests, prompt_tokens,
         completion_tokens, cached_prompt_tokens, reasoning_tokens, cost_nano_usd, charge_microcents, streaming, estimated, interrupted)
       SELECT 'syn_' || lpad(i::text, 9, '0'), 'acme', 'key_' || i % ${KEYS}, 'model-' || (i / ${KEYS}) % ${MODELS}, 'own', 'p', '/v1/chat/completions',
         ${NOW_MS} - (i::numeric * ${SPAN_MS} / ${events})::bigint, 0, 1, 1, 1, 0, 0, 1, 1, false, false, false
       FROM generate_series(0, ${events - 1}) AS i`,
      database,
    );
    while ((await store.foldUsage(5000)) > 0);
    await store.prune();
    await cluster.sql('ANALYZE', database);
    return store;
  };

  /** The plans of what `work` made the server do. */
  const plansOf = async (work: () => Promise<unknown>): Promise<PlanNode[]> => {
    const before = cluster.log().length;
    await work();
    const logged = cluster.log().slice(before);
    return [...logged.matchAll(/plan:\s*\n((?:\t[^\n]*\n)+)/g)].flatMap(([, text = '']) =>
      nodesOf((JSON.parse(text.replaceAll(/^\t/gm, '')) as { Plan: PlanNode }).Plan),
    );
  };

  const rowsRead = (nodes: readonly PlanNode[]): number =>
    nodes.reduce(
      (sum, node) => sum + ((node['Actual Rows'] ?? 0) + (node['Rows Removed by Filter'] ?? 0)) * (node['Actual Loops'] ?? 0),
      0,
    );

  test(
    'ranges of the primary key of the rollups, as many rows as there are buckets, keys and models, and no raw event',
    { timeout: 120_000 },
    async () => {
      const read: number[][] = [];
      for (const events of [3000, 30_000]) {
        const store = await seed(events);
        const counts: number[] = [];
        const look = async (work: () => Promise<unknown>, mostRows: number): Promise<void> => {
          const nodes = await plansOf(work);
          expect(nodes.filter((node) => node['Relation Name'] === 'usage_events')).toEqual([]);
          const rollups = nodes.filter((node) => node['Relation Name'] === 'usage_rollups');
          expect(rollups.length).toBeGreaterThan(0);
          for (const node of rollups) {
            expect(node['Node Type']).toMatch(/^Index (Only )?Scan( Backward)?$/);
            expect(node['Index Name']).toBe('usage_rollups_pkey');
            expect(node['Index Cond']).toMatch(/tenant_id = [^]*level_ms = /);
          }
          expect(rowsRead(rollups)).toBeLessThanOrEqual(mostRows);
          counts.push(rowsRead(rollups));
        };
        for (const window of USAGE_WINDOWS) {
          const { fromMs } = windowRange(window, NOW_MS);
          const query = { tenantId: 'acme', fromMs, intervalMs: window.intervalMs };
          const totals = spansFrom(fromMs, window.intervalMs);
          // For each span the oldest and the newest bucket are looked up, for each bucket asked.
          const ends = (spans: readonly RollupSpan[]): number => 2 * spans.length + 2;
          const series = [{ levelMs: levelFor(window.intervalMs), fromMs, toMs: null }];
          await look(() => store.usageTotals(query), bucketsIn(totals) * KEYS * MODELS + ends(totals));
          await look(() => store.usageTotals({ ...query, keyId: 'key_1' }), bucketsIn(totals) * MODELS + ends(totals));
          await look(() => store.usageSeries(query), bucketsIn(series) * MODELS + ends(series));
        }
        await look(() => store.usageTotals({ tenantId: 'acme', fromMs: null, intervalMs: 5000 }), KEYS * MODELS + 4);
        await look(() => store.keyUsage({ tenantId: 'acme' }), KEYS * MODELS);
        await look(() => store.keyUsage({ tenantId: 'acme', keyIds: ['key_1', 'key_2'] }), (KEYS + 1) * MODELS);
        read.push(counts);
        await store.close();
      }
      // Where every bucket has a row for every key and model already, ten times the events are not one row more.
      const [few = [], many = []] = read;
      expect(many.slice(-3)).toEqual(few.slice(-3));
      const [totals60d, ofKey60d, series60d] = many.slice(-9, -6);
      expect([totals60d, ofKey60d, series60d].every((rows) => (rows ?? 0) > 0)).toBe(true);
      expect(many.slice(-9, -3)).toEqual(few.slice(-9, -3));
    },
  );
});

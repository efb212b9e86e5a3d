import Database from 'better-sqlite3';
import path from 'node:path';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { callApi, startCastellan, type StartedCastellan } from '../support/castellan.ts';
import { startScript } from '../support/processes.ts';
import type { Row } from '../support/report.ts';
import { median, quantile, rounded } from '../support/stats.ts';

export const KEYS = 200;
export const MODELS = 20;
/** How many of the models one key calls: a few, or all of them, which is the worst there is (4,000 lines in every answer). */
const FEW_MODELS = 3;
/** The worst case is seeded up to this many events only: folding ten million takes minutes, and the answers are of full size long before. */
const MOST_DENSE_EVENTS = 1_000_000;
export const SPAN_DAYS = 90;
const WINDOWS = ['5m', '1h', '24h', '7d', '30d', '90d'] as const;
const CHUNK = 200_000;

/**
 * Writes raw events as a batch would leave them, spread over the last 90 days, every key calling every model: `count` rows from `first`
 * on. Counting upwards in SQL is what makes ten million rows a matter of a minute.
 */
const SYNTHETIC = `
WITH RECURSIVE n(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :first + :count)
INSERT INTO usage_tail (id, tenant_id, key_id, model, upstream_id, price_id, route, at_ms, held_at_ms, requests, prompt_tokens,
  completion_tokens, cached_prompt_tokens, reasoning_tokens, cost_nano_usd, charge_microcents, streaming, estimated, interrupted)
SELECT printf('syn_%012d', i), 'default', (SELECT id FROM bench_keys WHERE no = (i * 7919) % ${KEYS}), 'model-' || (((i * 7919) % ${KEYS} + (i / ${KEYS}) % :modelsOfAKey) % ${MODELS}),
  'bench', 'p', '/v1/chat/completions', :startMs + CAST((i * 1.0 / :total) * :spanMs AS INTEGER), 0, 1, 100 + i % 50, 50 + i % 20, i % 10, 0,
  45000 + i % 1000, 4500 + i % 100, 0, 0, 0
FROM n`;

export async function seed(dataDir: string, keyIds: readonly string[], options: { total: number; modelsOfAKey: number }): Promise<void> {
  const { total, modelsOfAKey } = options;
  const file = path.join(dataDir, 'castellan.db');
  const database = new Database(file);
  database.pragma('journal_mode = WAL');
  database.exec('CREATE TEMP TABLE bench_keys (no INTEGER PRIMARY KEY, id TEXT)');
  const insertKey = database.prepare('INSERT INTO bench_keys VALUES (?, ?)');
  keyIds.forEach((id, no) => insertKey.run(no, id));
  const insert = database.prepare(SYNTHETIC);
  const spanMs = SPAN_DAYS * 86_400_000;
  const startMs = Date.now() - spanMs;
  const store = await openSqliteStore({ dataDir, clock: { nowMs: Date.now } });
  for (let first = 0; first < total; first += CHUNK) {
    insert.run({ first, count: Math.min(CHUNK, total - first), total, startMs, spanMs, modelsOfAKey });
    while ((await store.foldUsage(50_000)) > 0);
  }
  await store.close();
  database.close();
}

/** Median and p99 of `times` requests, in milliseconds, one after another. */
async function timed(ours: StartedCastellan, pathAndQuery: string, times = 40): Promise<{ p50: number; p99: number; first: number }> {
  const headers = { authorization: `Bearer ${ours.adminKey}` };
  const elapsed: number[] = [];
  for (let index = 0; index < times; index += 1) {
    const startMs = performance.now();
    await callApi(`http://127.0.0.1:${ours.adminPort}${pathAndQuery}`, headers);
    elapsed.push(performance.now() - startMs);
  }
  const ascending = elapsed.slice(1).toSorted((a, b) => a - b);
  return { p50: median(ascending), p99: quantile(ascending, 0.99), first: elapsed[0] ?? 0 };
}

/** Usage and time-series queries over HTTP behind more and more events: they should cost the same. */
export async function usageQueries(options: { sizes: readonly number[] }): Promise<Row[]> {
  const dense = [...new Set(options.sizes.map((size) => Math.min(size, MOST_DENSE_EVENTS)))];
  const few = await measureUsage({ sizes: options.sizes, modelsOfAKey: FEW_MODELS });
  return [...few, ...(await measureUsage({ sizes: dense, modelsOfAKey: MODELS }))];
}

async function measureUsage(options: { sizes: readonly number[]; modelsOfAKey: number }): Promise<Row[]> {
  const { modelsOfAKey } = options;
  const upstream = await startScript('bench/baseline/upstream.ts');
  const measured = new Map<number, Map<string, { p50: number; p99: number; first: number }>>();
  for (const size of options.sizes) {
    const fresh = await startCastellan({ upstreamPort: upstream.port });
    const keyIds: string[] = [];
    for (let index = 0; index < KEYS; index += 1) {
      const body = { name: `key-${index}` };
      const made = await callApi(
        `http://127.0.0.1:${fresh.adminPort}/api/keys`,
        { authorization: `Bearer ${fresh.adminKey}` },
        { method: 'POST', body },
      );
      keyIds.push((made as { id: string }).id);
    }
    await fresh.stop();
    await seed(path.join(fresh.folder, 'data'), keyIds, { total: size, modelsOfAKey });
    const ours = await fresh.restart();
    const figures = new Map<string, { p50: number; p99: number; first: number }>();
    for (const window of WINDOWS) {
      figures.set(`usage ${window}`, await timed(ours, `/api/billing/usage?time=${window}`));
      figures.set(`time series ${window}`, await timed(ours, `/api/billing/time-series?time=${window}`));
    }
    figures.set('usage of all time', await timed(ours, '/api/billing/usage'));
    measured.set(size, figures);
    await ours.stop();
  }
  await upstream.stop();
  return tabulate(options.sizes, modelsOfAKey, measured);
}

function tabulate(
  sizes: readonly number[],
  modelsOfAKey: number,
  measured: ReadonlyMap<number, ReadonlyMap<string, { p50: number; p99: number; first: number }>>,
): Row[] {
  const [least = 0] = sizes;
  const most = sizes.at(-1) ?? 0;
  return [...(measured.get(least) ?? [])].map(([what, small]) => {
    const large = measured.get(most)?.get(what) ?? small;
    return {
      what: `${what}, ${KEYS} keys, ${MODELS} models, ${modelsOfAKey} of them a key`,
      ours: `${most.toExponential(0)} events: p50 ${rounded(large.p50)} ms, p99 ${rounded(large.p99)} ms`,
      baseline: `${least.toExponential(0)} events: p50 ${rounded(small.p50)} ms`,
      ratio: `${rounded(large.p50 / small.p50)}`,
      owed: 'flat, under 5 ms',
      notes: `first query ${rounded(large.first)} ms`,
    };
  });
}

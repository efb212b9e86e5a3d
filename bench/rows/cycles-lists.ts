import path from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import { RESERVATION_OWN_COLUMNS } from '../../src/stores/_shared/reservation-row.ts';
import { startPostgresCluster } from '../../test/support/postgres-cluster.ts';
import { callApi, startCastellan, type StartedCastellan } from '../support/castellan.ts';
import { startScript } from '../support/processes.ts';
import type { Row } from '../support/report.ts';
import { interleave } from '../support/rounds.ts';
import { rounded } from '../support/stats.ts';

const TENANT = 'bench-lists';
const UNIT = 'USD_MICROCENTS';
const DAY_MS = 86_400_000;
/** One in so many still holds. */
const ACTIVE_SHARE = 10;
const CHUNK = 100_000;

/** Copies a reservation, made over the API, `count` times, a hundred a second up to now. Numbers come from the table `numbers(n)`. */
function copies(numbers: string, options: { readonly id: string; readonly startMs: number }): string {
  const { id, startMs } = options;
  const isActive = `n % ${ACTIVE_SHARE} = 0`;
  const unlessActive = (value: string): string => `CASE WHEN ${isActive} THEN NULL ELSE ${value} END`;
  const changed: Readonly<Record<string, string>> = {
    id: `'rsv_copy_' || (10000000 + n)`,
    request_key: `'copy-' || n`,
    created_at_ms: `${startMs} + n * 10`,
    expires_at_ms: `${startMs} + n * 10 + ${30 * DAY_MS}`,
    state: `CASE WHEN ${isActive} THEN 'ACTIVE' ELSE t.state END`,
    charged: unlessActive('t.charged'),
    finalized_at_ms: unlessActive(`${startMs} + n * 10 + 5`),
    settled_at_ms: unlessActive(`${startMs} + n * 10 + 5`),
  };
  const values = RESERVATION_OWN_COLUMNS.map((column) => changed[column] ?? `t.${column}`);
  return `${numbers} INSERT INTO reservations (${RESERVATION_OWN_COLUMNS.join(', ')})
    SELECT ${values.join(', ')} FROM numbers, reservations t WHERE t.id = '${id}'`;
}

async function fillSqlite(dataDir: string, id: string, count: number): Promise<void> {
  const database = new Database(path.join(dataDir, 'castellan.db'));
  database.pragma('journal_mode = WAL');
  const startMs = Date.now() - count * 10;
  for (let first = 1; first <= count; first += CHUNK) {
    const last = Math.min(count, first + CHUNK - 1);
    // The table is inserted into, so what it is filled from stands behind.
    const numbers = `WITH RECURSIVE numbers(n) AS (SELECT ${first} UNION ALL SELECT n + 1 FROM numbers WHERE n < ${last})`;
    database.exec(copies(numbers, { id, startMs }));
  }
  database.close();
}

async function fillPostgres(url: string, id: string, count: number): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const startMs = Date.now() - count * 10;
  for (let first = 1; first <= count; first += CHUNK) {
    const last = Math.min(count, first + CHUNK - 1);
    await client.query(copies(`WITH numbers AS (SELECT generate_series(${first}, ${last}) AS n)`, { id, startMs }));
  }
  await client.query('VACUUM ANALYZE reservations');
  await client.end();
}

/** A server with `count` reservations of one tenant, and the tenant's key. */
interface Filled {
  readonly server: StartedCastellan;
  readonly key: string;
}

async function fill(server: StartedCastellan, count: number, databaseUrl?: string): Promise<Filled> {
  const base = `http://127.0.0.1:${server.adminPort}/v1/admin`;
  const operator = { 'x-admin-api-key': server.operatorKey };
  const allocated = { unit: UNIT, amount: 4_000_000_000_000 };
  await callApi(`${base}/tenants`, operator, { method: 'POST', body: { tenant_id: TENANT, name: 'Bench' } });
  const key = (await callApi(`${base}/api-keys`, operator, { method: 'POST', body: { tenant_id: TENANT, name: 'bench' } })) as {
    key_secret: string;
  };
  for (const scope of [`tenant:${TENANT}`, `tenant:${TENANT}/agent:a1`])
    await callApi(`${base}/budgets`, operator, { method: 'POST', body: { tenant_id: TENANT, scope, unit: UNIT, allocated } });
  const holder = { 'x-cycles-api-key': key.key_secret };
  const runtime = `http://127.0.0.1:${server.port}/v1/reservations`;
  const one = { unit: UNIT, amount: 1 };
  const body = {
    idempotency_key: 'the-first',
    subject: { tenant: TENANT, agent: 'a1' },
    action: { kind: 'llm.completion', name: 'bench' },
    estimate: one,
  };
  const { reservation_id: id } = (await callApi(runtime, holder, { method: 'POST', body })) as { reservation_id: string };
  await callApi(`${runtime}/${id}/commit`, holder, { method: 'POST', body: { idempotency_key: 'the-commit', actual: one } });
  await server.stop();
  if (databaseUrl === undefined) await fillSqlite(path.join(server.folder, 'data'), id, count);
  else await fillPostgres(databaseUrl, id, count);
  return { server: await server.restart(), key: key.key_secret };
}

/** What is asked for: each a first page of fifty, or a page from the middle. */
const QUERIES: readonly (readonly [string, (middle: string) => string])[] = [
  ['list, newest first', () => '/v1/reservations'],
  ['list, oldest first', () => '/v1/reservations?sort_dir=asc'],
  ['list by expiry', () => '/v1/reservations?sort_by=expires_at_ms&sort_dir=asc'],
  ['list of what holds', () => '/v1/reservations?status=ACTIVE'],
  ['list from the middle', (middle) => `/v1/reservations?to=${middle}`],
  ['list by key of idempotency', () => '/v1/reservations?idempotency_key=copy-500'],
  ['one reservation', () => '/v1/reservations/rsv_copy_10000501'],
  ['balances', () => `/v1/balances?tenant=${TENANT}`],
];

const getRequest = (target: string, key: string): Buffer =>
  Buffer.from(`GET ${target} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-cycles-api-key: ${key}\r\n\r\n`);

async function compare(
  store: 'SQLite' | 'PostgreSQL',
  filled: Readonly<Record<string, Filled & { readonly count: number }>>,
  timing: { rounds: number; durationMs: number },
): Promise<Row[]> {
  const rows: Row[] = [];
  const names = Object.keys(filled);
  const [few = '', many = ''] = names;
  for (const [what, targetOf] of QUERIES) {
    const plans = Object.fromEntries(
      Object.entries(filled).map(([name, { server, key, count }]) => {
        const middle = new Date(Date.now() - (count * 10) / 2).toISOString();
        return [name, { port: server.port, request: getRequest(targetOf(middle), key), clients: 1, durationMs: timing.durationMs }];
      }),
    );
    const result = await interleave(plans, timing.rounds);
    const [small, large] = [result[few], result[many]];
    if (small === undefined || large === undefined) throw new Error('there must be two sizes');
    rows.push({
      what: `${what}, ${many} reservations, ${store}`,
      ours: `p50 ${rounded(large.p50Ms)} ms, p99 ${rounded(large.p99Ms)} ms`,
      baseline: `${few}: p50 ${rounded(small.p50Ms)} ms, p99 ${rounded(small.p99Ms)} ms`,
      ratio: `${rounded(large.p50Ms / small.p50Ms)} times as long`,
      owed: 'at most 1.5',
      notes: `errors ${small.errors + large.errors}`,
    });
  }
  return rows;
}

/** Lists of reservations and balances behind a few and behind many reservations, on both stores: they should cost the same. */
export async function cyclesLists(options: { rounds: number; durationMs: number; sizes: readonly [number, number] }): Promise<Row[]> {
  const cluster = await startPostgresCluster();
  const upstream = await startScript('bench/baseline/upstream.ts');
  const rows: Row[] = [];
  try {
    for (const store of ['SQLite', 'PostgreSQL'] as const) {
      const filled: Record<string, Filled & { readonly count: number }> = {};
      for (const count of options.sizes) {
        const databaseUrl = store === 'SQLite' ? undefined : await cluster.createDatabase();
        const started = await startCastellan({ upstreamPort: upstream.port, ...(databaseUrl === undefined ? {} : { databaseUrl }) });
        filled[count.toLocaleString('en')] = { ...(await fill(started, count, databaseUrl)), count };
      }
      rows.push(...(await compare(store, filled, options)));
      for (const { server } of Object.values(filled)) await server.stop();
    }
  } finally {
    await upstream.stop();
    await cluster.stop();
  }
  return rows;
}

import { join } from 'node:path';
import Database from 'better-sqlite3';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Statement } from '../../src/core/bills/bill-records.ts';
import { lastDueMonth } from '../../src/core/bills/make-statement.ts';
import { monthRange } from '../../src/core/bills/month.ts';
import { USAGE_COLUMNS, usageValues } from '../../src/stores/_shared/usage-row.ts';
import { DATABASE_FILE } from '../../src/stores/sqlite/connection.ts';
import { makeControlPlane } from '../support/control-plane.ts';
import { makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeServer, type TestServer } from '../support/server-process.ts';
import type { TestStore } from '../support/store-reader.ts';
import { usageEvent } from '../support/test-app.ts';
import { waitUntil } from '../support/wait-until.ts';
import { BILL_POINTS } from './kill-points.ts';

const ENV = { CASTELLAN_MASTER_KEY: Buffer.alloc(32, 5).toString('base64') };
const DEAD = { code: null, signal: 'SIGKILL' };

let http: HttpClient;
const servers: TestServer[] = [];
beforeAll(() => void (http = makeHttpClient()));
afterEach(async () => void (await Promise.all(servers.splice(0).map((server) => server.dispose()))));
afterAll(() => http.close());

function add(store: TestStore, env: Readonly<Record<string, string>> = ENV): TestServer {
  const server = makeServer({ store, env });
  servers.push(server);
  return server;
}

/** Makes tenants in a first start. */
async function makeTenants(server: TestServer, tenants: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<void> {
  await server.start({ env });
  const control = makeControlPlane(server, http);
  await Promise.all(tenants.map((id) => control.operator('POST', '/tenants', { id, name: id })));
  await server.stop();
}

/** One event of each tenant in the last millisecond of the last month that is due, put past the program: who reports of the past may be too late. */
async function useLastMonth({ store, dataDir }: TestServer, tenants: readonly string[]): Promise<void> {
  const atMs = monthRange(lastDueMonth(Date.now())).toMs - 1;
  const rows = tenants.map((tenantId) =>
    usageValues(usageEvent({ id: `use_${tenantId}`, tenantId, keyId: `key_${tenantId}`, atMs, promptTokens: 3, chargeMicrocents: 7n })),
  );
  const into = `INSERT INTO usage_tail (${USAGE_COLUMNS.join(', ')}) VALUES`;
  if (store.kind === 'sqlite') {
    const db = new Database(join(dataDir, DATABASE_FILE));
    const insert = db.prepare(`${into} (${USAGE_COLUMNS.map(() => '?').join(', ')})`);
    for (const row of rows) insert.run(...row);
    db.close();
    return;
  }
  const client = new pg.Client({ connectionString: store.url });
  await client.connect();
  for (const row of rows) await client.query(`${into} (${USAGE_COLUMNS.map((_, index) => `$${index + 1}`).join(', ')})`, row);
  await client.end();
}

/** The statements of all tenants, as the database has them. */
async function statements(server: TestServer): Promise<Statement[]> {
  const rows = await server.reader().rows('SELECT CAST(body AS text) AS body FROM statements ORDER BY id');
  return rows.map(({ body }) => JSON.parse(String(body)) as Statement);
}

const billed = async (server: TestServer): Promise<string[]> => (await statements(server)).map(({ number }) => number).toSorted();

/** Each start goes on from what the kill before left: a kill before the command that bills, one after it, each with tenants yet to be billed. */
test('a process that is killed at every step of a month’s end bills each tenant once', { timeout: 60_000 }, async () => {
  const server = add({ kind: 'sqlite' });
  const tenants = ['four', 'one', 'three', 'two'];
  await makeTenants(server, tenants);
  await useLastMonth(server, tenants);
  for (const [index, point] of BILL_POINTS.entries()) {
    await server.start({ kill: { point, hit: 1, armFile: null } });
    expect(await server.ended()).toEqual(DEAD);
    expect(await billed(server)).toHaveLength(index);
  }
  await server.start();
  await waitUntil(async () => (await billed(server)).length >= tenants.length);
  expect(await billed(server)).toEqual(tenants.map((id) => `${id}-0001`));
  await server.stop();
  expect((await server.verify()).discrepancies).toEqual([]);
});

describePostgres('on PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });
  afterAll(() => cluster.stop());

  test('of two nodes that start at once each tenant is billed once', { timeout: 60_000 }, async () => {
    const store: TestStore = { kind: 'postgres', url: await cluster.createDatabase() };
    const first = add(store);
    const env = { ...ENV, ADMIN_API_KEY: 'operator-key-of-both-nodes-0123456789ab' };
    const tenants = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `tenant-${name}`);
    await makeTenants(first, tenants, env);
    await useLastMonth(first, tenants);
    const second = add(store, env);
    await Promise.all([first.start({ env }), second.start({ env })]);
    await waitUntil(async () => (await billed(first)).length >= tenants.length);
    await Promise.all([first.stop(), second.stop()]);
    expect(await billed(first)).toEqual(tenants.map((id) => `${id}-0001`));
    expect((await first.verify()).discrepancies).toEqual([]);
  });
});

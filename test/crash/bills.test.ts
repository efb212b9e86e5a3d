import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import type { Statement } from '../../src/core/bills/bill-records.ts';
import { lastDueMonth } from '../../src/core/bills/make-statement.ts';
import { monthRange } from '../../src/core/bills/month.ts';
import type { Command } from '../../src/core/verbs.ts';
import { makeSystemClock } from '../../src/server/secrets/system-clock.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { reportedItem } from '../contract/bill-suite.ts';
import { makeCommands } from '../contract/commands.ts';
import { makeControlPlane } from '../support/control-plane.ts';
import { makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { signedDelivery, wireEvent } from '../support/report-client.ts';
import { makeServer, type TestServer } from '../support/server-process.ts';
import type { TestStore } from '../support/store-reader.ts';
import { waitUntil } from '../support/wait-until.ts';
import { BILL_POINTS } from './kill-points.ts';

const SECRET = 'secret-of-the-reporter-0123456789';
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

/** Makes a tenant that used something in the last month that is due, by a report. */
async function useLastMonth(server: TestServer, tenantId: string): Promise<void> {
  const control = makeControlPlane(server, http);
  const tenant = await control.makeTenant(tenantId);
  const { key } = await control.makeKey(tenant, { name: 'k' });
  const reporterId = `of-${tenantId}`;
  await control.operator('POST', '/usage-reporters', { id: reporterId, tenants: [tenantId], secret: SECRET });
  const nowMs = Date.now();
  const occurredAtMs = monthRange(lastDueMonth(nowMs)).toMs - 1;
  const delivery = signedDelivery({ reporterId, secret: SECRET, nowMs, events: [wireEvent(key, { occurredAtMs, model: 'demo-echo' })] });
  const { status, text } = await http.ask(`${server.admin}${delivery.path}`, delivery);
  expect([status, text]).toEqual([200, expect.stringContaining('"accepted":1') as string]);
}

/** The statements of all tenants, as the database has them. */
async function statements(server: TestServer): Promise<Statement[]> {
  const rows = await server.reader().rows('SELECT CAST(body AS text) AS body FROM statements ORDER BY id');
  return rows.map(({ body }) => JSON.parse(String(body)) as Statement);
}

const billed = async (server: TestServer): Promise<string[]> => (await statements(server)).map(({ number }) => number).toSorted();

/** Makes tenants that used something in the last month that is due, in a store that no server has open. */
async function useBeforeStart(server: TestServer, tenants: readonly string[]): Promise<void> {
  const store = await openSqliteStore({ dataDir: server.dataDir, clock: makeSystemClock() });
  const commands = makeCommands();
  const occurredAtMs = monthRange(lastDueMonth(Date.now())).toMs - 1;
  const reporter = { id: 'router', secretSealed: 'none', previous: null, tenants };
  const items = tenants.map((tenantId) => reportedItem({ tenantId, keyId: `key_${tenantId}`, eventId: tenantId, occurredAtMs }));
  const list: Command[] = [
    ...tenants.flatMap((id) => [commands.createTenant(id), commands.createKey(id, `key_${id}`)]),
    { verb: 'put-usage-reporter', id: commands.id('cmd'), tenantId: '_system', replace: false, reporter },
    { verb: 'report-usage', id: commands.id('cmd'), tenantId: '_system', reporterId: 'router', nonce: null, nonceKeepMs: 1, items },
  ];
  try {
    const { outcomes } = await store.execute('before', list, 0);
    expect(outcomes.filter(({ ok }) => !ok)).toEqual([]);
  } finally {
    await store.close();
  }
}

/** Each start goes on from what the kill before left: a kill before the command that bills, one after it, each with tenants yet to be billed. */
test('a process that is killed at every step of a month’s end bills each tenant once', { timeout: 60_000 }, async () => {
  const server = add({ kind: 'sqlite' });
  const tenants = ['four', 'one', 'three', 'two'];
  await useBeforeStart(server, tenants);
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
    await first.start({ env });
    const tenants = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => `tenant-${name}`);
    await Promise.all(tenants.map((id) => useLastMonth(first, id)));
    await first.kill();
    const second = add(store, env);
    await Promise.all([first.start({ env }), second.start({ env })]);
    await waitUntil(async () => (await billed(first)).length >= tenants.length);
    await Promise.all([first.stop(), second.stop()]);
    expect(await billed(first)).toEqual(tenants.map((id) => `${id}-0001`));
    expect((await first.verify()).discrepancies).toEqual([]);
  });
});

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { makeHttpClient, operator, type Answer, type HttpClient } from '../support/http-client.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeServer, type TestServer } from '../support/server-process.ts';
import type { TestStore } from '../support/store-reader.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startWebhookReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts';
import { WEBHOOK_POINTS } from './kill-points.ts';

const TENANT = 'acme-corp';
const UNIT = 'USD_MICROCENTS';
/** Events that are made before each kill. */
const FUNDS = 3;

let http: HttpClient;
let hooks: WebhookReceiver;
let server: TestServer;

afterEach(async () => {
  await server.dispose();
  await hooks.close();
});
afterAll(() => http.close());
beforeAll(() => {
  http = makeHttpClient();
});

const must = async (method: string, path: string, body?: unknown): Promise<Answer> => {
  const answer = await http.ask(`${server.admin}${path}`, { method, body, headers: operator(server.credentials().operator_key) });
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  return answer;
};
const fund = (key: string): Promise<Answer> =>
  must('POST', `/v1/admin/budgets/fund?tenant_id=${TENANT}&scope=tenant:${TENANT}&unit=${UNIT}`, {
    operation: 'CREDIT',
    amount: { unit: UNIT, amount: 1 },
    idempotency_key: key,
  });
/** What was committed, in its order, whoever was answered. */
const committed = async (): Promise<string[]> => {
  const rows = await server.reader().rows("SELECT id FROM events WHERE type = 'budget.funded' ORDER BY seq");
  return rows.map(({ id }) => String(id));
};
const count = async (sql: string): Promise<number> => Number((await server.reader().rows(sql))[0]?.['n']);

/** Makes a server that does not run yet, and a receiver. */
async function begin(store: TestStore): Promise<void> {
  hooks = await startWebhookReceiver();
  server = makeServer({ store, env: { CASTELLAN_MASTER_KEY: Buffer.alloc(32, 3).toString('base64') } });
}

/** What the server knows before anything is delivered. */
async function setUp(): Promise<void> {
  await must('PUT', '/v1/admin/config/webhook-security', { allow_http: true, blocked_cidr_ranges: [] });
  await must('POST', '/v1/admin/tenants', { tenant_id: TENANT, name: 'Acme' });
  const allocated = { unit: UNIT, amount: 1000 };
  await must('POST', '/v1/admin/budgets', { tenant_id: TENANT, scope: `tenant:${TENANT}`, unit: UNIT, allocated });
  // What is refused once has failed for good; the subscription goes on.
  const subscription = { url: `${hooks.url}/`, event_types: ['budget.funded'], retry_policy: { max_retries: 0 } };
  await must('POST', `/v1/admin/webhooks?tenant_id=${TENANT}`, subscription);
}

/**
 * Kills lie between the commit of an event and its fan-out, between that and the lease, the request, the booking of its result, and between
 * telling that it failed and the mark that this was told. Each start goes on from what the kill before left.
 */
test('a process that is killed at every point of a delivery loses no event, and tells no failure twice', { timeout: 120_000 }, async () => {
  await begin({ kind: 'sqlite' });
  let refuses = false;
  hooks.answer(() => {
    const status = refuses ? 500 : 204;
    refuses = false;
    return status;
  });
  for (const [index, point] of WEBHOOK_POINTS.entries()) {
    const armFile = join(server.dataDir, `armed-${point}`);
    await server.start({ kill: { point, hit: 1, armFile } });
    if (index === 0) await setUp();
    writeFileSync(armFile, '');
    refuses = point === 'webhook.told';
    const funded = Array.from({ length: FUNDS }, (_, n) => fund(`${point} ${n}`).catch(() => null));
    expect(await server.ended()).toEqual({ code: null, signal: 'SIGKILL' });
    await Promise.all(funded);
  }
  await server.start();
  // Who was not answered asks again; who was is answered as before.
  for (const point of WEBHOOK_POINTS) for (let n = 0; n < FUNDS; n++) await fund(`${point} ${n}`);
  const events = await committed();
  expect(events).toHaveLength(FUNDS * WEBHOOK_POINTS.length);
  const arrived = (): string[] => hooks.received.map(({ eventId }) => eventId);
  await waitUntil(() => Promise.resolve(events.every((id) => arrived().includes(id))));
  expect([...new Set(arrived())]).toEqual(events);
  // A request whose answer was not booked is made again, with the same id and body: at most one for each kill, and one for that in between.
  expect(arrived().length).toBeGreaterThan(events.length);
  expect(arrived().length).toBeLessThanOrEqual(events.length + WEBHOOK_POINTS.length);
  expect(new Set(hooks.received.map(({ raw }) => raw.toString())).size).toBe(events.length);

  await waitUntil(
    async () => (await count("SELECT count(*) AS n FROM deliveries WHERE untold OR status IN ('PENDING', 'RETRYING')")) === 0,
  );
  expect(await count("SELECT count(*) AS n FROM deliveries WHERE status = 'FAILED'")).toBe(1);
  expect(await count("SELECT count(*) AS n FROM events WHERE type = 'system.webhook_delivery_failed'")).toBe(1);
});

describePostgres('on PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });
  afterAll(() => cluster.stop());

  test('what one node was killed over between commit and send is sent by the next, once', { timeout: 60_000 }, async () => {
    await begin({ kind: 'postgres', url: await cluster.createDatabase() });
    const armFile = join(server.dataDir, 'armed');
    await server.start({ kill: { point: 'webhook.handed-out', hit: 1, armFile } });
    await setUp();
    writeFileSync(armFile, '');
    await fund('one').catch(() => null);
    expect(await server.ended()).toEqual({ code: null, signal: 'SIGKILL' });
    await server.start();
    await fund('one');
    await fund('two');
    const events = await committed();
    expect(events).toHaveLength(2);
    await waitUntil(() => Promise.resolve(hooks.received.length >= 2));
    expect(hooks.received.map(({ eventId }) => eventId)).toEqual(events);
  });
});

import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane, type MadeKey } from '../support/control-plane.ts';
import { makeHttpClient, type Answer, type HttpClient } from '../support/http-client.ts';
import { signedDelivery, wireEvent, type SignedRequest } from '../support/report-client.ts';
import { makeServer, type TestServer } from '../support/server-process.ts';
import { readAccounts, readState, type TestStore } from '../support/store-reader.ts';
import { TEST_MODEL, testConfig } from '../support/test-config.ts';

const TIMEOUT_MS = 120_000;
const EVENTS = 200;
/** What one event of the public client's example uses. */
const EVENT_TOKENS = 18n;
const REPORTER = { id: 'model-router', secret: 'reporter-canary-5Rt8Yu1Io4Pl' };

/** Where a suite runs: its store, and how many processes share it. */
export interface ReportTarget {
  readonly makeStore: () => Promise<TestStore>;
  readonly processes: number;
}

/** Reports over real connections to real processes: many at once, and across the death of one. */
export function testReports(target: ReportTarget): void {
  let client: HttpClient;
  let servers: TestServer[];
  let control: ControlPlane;

  beforeAll(async () => {
    client = makeHttpClient();
    const store = await target.makeStore();
    // No upstream is ever called.
    const config = testConfig('http://127.0.0.1:9/v1');
    const env = target.processes === 1 ? {} : { CASTELLAN_MASTER_KEY: Buffer.alloc(32, 7).toString('base64') };
    servers = Array.from({ length: target.processes }, () => makeServer({ store, config, env }));
    for (const server of servers) await server.start();
    control = makeControlPlane(servers[0]!, client);
    await control.operator('POST', '/usage-reporters', { ...REPORTER, tenants: [control.firstTenant().id] });
  }, TIMEOUT_MS);

  afterAll(async () => {
    await Promise.all(servers.map((server) => server.dispose()));
    await client.close();
  });

  const send = (server: TestServer, { path, method, headers, body }: SignedRequest): Promise<Answer> =>
    client.ask(`${server.admin}${path}`, { method, headers, body });

  const delivery = (key: MadeKey, count: number): SignedRequest => {
    const events = Array.from({ length: count }, () => wireEvent(key.key, { occurredAtMs: Date.now(), model: TEST_MODEL }));
    return signedDelivery({ reporterId: REPORTER.id, secret: REPORTER.secret, nowMs: Date.now(), events });
  };

  /** The same events in another delivery, as a client sends them that never heard what became of the first. */
  const again = ({ body }: SignedRequest): SignedRequest => {
    const { events } = JSON.parse(body) as { events: unknown[] };
    return signedDelivery({ reporterId: REPORTER.id, secret: REPORTER.secret, nowMs: Date.now(), events });
  };

  const tokensOf = async (key: MadeKey): Promise<bigint> => {
    const accounts = await readAccounts(servers[0]!.reader());
    return accounts.find(({ scope, unit }) => scope === `key:${key.id}` && unit === 'TOKENS')?.spent ?? -1n;
  };
  const countOf = async (key: MadeKey): Promise<number> =>
    (await readState(servers[0]!.reader())).usage.filter(({ keyId }) => keyId === key.id).length;

  const makeKey = (name: string): Promise<MadeKey> => control.makeKey(control.firstTenant(), { name });

  test('one delivery that comes from eight connections at once is booked once', { timeout: TIMEOUT_MS }, async () => {
    const key = await makeKey('eight');
    const request = delivery(key, EVENTS);
    const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => send(servers[index % servers.length]!, request)));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, ...Array<number>(7).fill(409)]);
    expect([await tokensOf(key), await countOf(key)]).toEqual([BigInt(EVENTS) * EVENT_TOKENS, EVENTS]);
  });

  test(
    'the same events in eight deliveries at once are booked once, and each of them is told which it booked',
    { timeout: TIMEOUT_MS },
    async () => {
      const key = await makeKey('deliveries');
      const first = delivery(key, EVENTS);
      const answers = await Promise.all(Array.from({ length: 8 }, (_, index) => send(servers[index % servers.length]!, again(first))));
      const receipts = answers.map((answer) => answer.json<{ accepted: number; duplicates: number }>());
      expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200));
      expect(receipts.reduce((sum, { accepted }) => sum + accepted, 0)).toBe(EVENTS);
      expect(receipts.reduce((sum, { duplicates }) => sum + duplicates, 0)).toBe(7 * EVENTS);
      expect([await tokensOf(key), await countOf(key)]).toEqual([BigInt(EVENTS) * EVENT_TOKENS, EVENTS]);
    },
  );

  test('reports and changes of the key at the same time hinder each other for a moment at most', { timeout: TIMEOUT_MS }, async () => {
    const key = await makeKey('busy');
    const reports = Array.from({ length: 20 }, (_, index) => send(servers[index % servers.length]!, delivery(key, 10)));
    const changes = Array.from({ length: 20 }, (_, index) => control.setKeyBudget(key.id, BigInt(index + 1) * 1000n));
    expect((await Promise.all(reports)).map(({ status }) => status)).toEqual(Array(20).fill(200));
    await Promise.all(changes);
    expect(await tokensOf(key)).toBe(200n * EVENT_TOKENS);
  });

  test.each([
    ['before a delivery is durable loses all of it, and the same delivery sent again is booked', 'batch.written', 200],
    ['after a delivery is durable loses nothing of it, and the same delivery sent again is refused', 'batch.committed', 409],
  ] as const)('a death %s', { timeout: TIMEOUT_MS }, async (_what, point, status) => {
    const [server] = servers as [TestServer, ...TestServer[]];
    const key = await makeKey(point);
    const request = delivery(key, EVENTS);
    await server.stop();
    const armFile = join(server.dataDir, 'armed');
    await server.start({ kill: { point, hit: 1, armFile } });
    // Other batches of this process are the signs of life of a store that many share, which are none of the writer's.
    writeFileSync(armFile, '');
    await expect(send(server, request)).rejects.toBeInstanceOf(Error);
    expect((await server.ended()).signal).toBe('SIGKILL');
    rmSync(armFile);
    await server.start();

    expect((await send(server, request)).status).toBe(status);
    expect((await send(server, again(request))).json()).toMatchObject({ accepted: 0, duplicates: EVENTS });
    expect([await tokensOf(key), await countOf(key)]).toEqual([BigInt(EVENTS) * EVENT_TOKENS, EVENTS]);
  });

  test('afterwards the ledger verifies, and neither the secret nor a key was logged or kept', { timeout: TIMEOUT_MS }, async () => {
    const key = await makeKey('last');
    await send(servers[0]!, delivery({ ...key, key: `${key.key}-unknown` }, 3));
    const [rows = []] = await servers[0]!.reader().snapshot(['SELECT * FROM usage_reports']);
    expect(rows.length).toBeGreaterThan(EVENTS);
    const kept = JSON.stringify(rows, (_name, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
    for (const server of servers) expect((await server.stop()).code).toBe(0);
    for (const text of [kept, ...servers.map((server) => server.stderr())]) {
      expect(text).not.toContain(key.key.slice(8));
      expect(text).not.toContain(REPORTER.secret.slice(0, 14));
    }
    expect((await servers[0]!.verify()).discrepancies).toEqual([]);
  });
}

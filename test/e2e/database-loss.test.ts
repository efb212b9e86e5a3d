import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { checkCounters, checkEffects, newEffectLog, type EffectLog, type ListedKey } from '../crash/effects.ts';
import { runLoad, type LoadKey, type LoadOptions } from '../crash/load.ts';
import { makeControlPlane, type ControlPlane } from '../support/control-plane.ts';
import { startDropProxy, type DropProxy } from '../support/drop-proxy.ts';
import { makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { seededRandom, seedOfRun } from '../support/seeded-random.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { readAccounts, readState } from '../support/store-reader.ts';
import { testConfig } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';

const TIMEOUT_MS = 60_000;
/** A settlement that failed is tried again after five seconds at the latest. */
const HOLDS_END_MS = 20_000;

describePostgres('a server whose database goes away under load', () => {
  let cluster: PostgresCluster;
  let model: OpenAiServer;
  let client: HttpClient;
  let proxy: DropProxy;
  let server: TestServer;
  let control: ControlPlane;
  let log: EffectLog;
  let keys: LoadKey[];

  beforeAll(async () => {
    cluster = await startPostgresCluster();
    model = await startOpenAiServer({ chunkDelayMs: 1 });
    client = makeHttpClient();
  });

  afterAll(async () => {
    await client.close();
    await model.close();
    await cluster.stop();
  });

  beforeEach(async () => {
    const url = await cluster.createDatabase();
    proxy = await startDropProxy(cluster.port);
    server = await startServer({ store: { kind: 'postgres', url }, config: testConfig(model.url), env: { DATABASE_URL: proxy.url(url) } });
    control = makeControlPlane(server, client);
    log = newEffectLog();
    keys = [await control.makeKey(control.firstTenant(), { name: 'first', maxTokens: 1_000_000_000 })];
    await control.setKeyBudget(keys[0]!.id, 1_000_000_000_000n);
  });

  afterEach(async () => {
    await server.dispose();
    await proxy.close();
  });

  const load = (): LoadOptions => ({ server, client, keys, log, random: seededRandom(seedOfRun()), tolerate: 503 });

  /** Runs a load while `disturb` runs, then waits until every hold is settled and compares. */
  const expectWholeAfter = async (disturb: () => Promise<void>): Promise<void> => {
    const before = log.calls.length;
    await runLoad(load(), disturb());
    // A while of peace: the server must work again by itself.
    await runLoad(load(), delay(500));
    expect(log.calls.length).toBeGreaterThan(before + 20);
    // A lost connection must not end the process, whatever was going on on it.
    expect(server.pid === 0 ? troubles(server) : '').toBe('');
    expect(log.unexpected).toEqual([]);
    const reader = server.reader();
    const nothingIsHeld = async (): Promise<boolean> => (await readAccounts(reader)).every(({ reserved }) => reserved === 0n);
    await waitUntil(nothingIsHeld, HOLDS_END_MS).catch(async (error: unknown) => {
      const holds = await reader.rows("SELECT id, created_at_ms::text, expires_at_ms::text FROM reservations WHERE state = 'ACTIVE'");
      throw new Error(`${JSON.stringify(holds)} still hold:\n${troubles(server)}`, { cause: error });
    });
    const state = await readState(reader);
    const listed = (await control.asAdmin(control.firstTenant(), 'GET', '/api/keys')).json<ListedKey[]>();
    expect([...checkEffects(log, state), ...checkCounters(listed, state)]).toEqual([]);
    expect((await server.stop()).code).toBe(0);
    expect((await server.verify()).discrepancies).toEqual([]);
  };

  test('books every answered call once when COMMITs or the answers to them are lost', { timeout: TIMEOUT_MS }, async () => {
    await expectWholeAfter(async () => {
      await delay(200);
      for (let round = 0; round < 12; round++) {
        await proxy.arm(round % 3 === 2 ? 'request-dropped' : 'answer-dropped');
        await delay(20);
      }
    });
  });

  test('goes on after its connections were ended by the database, again and again', { timeout: TIMEOUT_MS }, async () => {
    await expectWholeAfter(async () => {
      for (let round = 0; round < 15; round++) {
        await delay(50 + ((round * 37) % 100));
        await cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'castellan%'");
      }
    });
  });

  test('answers 503 while the database is away, and works again when it is back', { timeout: TIMEOUT_MS }, async () => {
    const chat = {
      method: 'POST',
      headers: { authorization: `Bearer ${keys[0]!.key}` },
      body: { model: 'test-model', messages: [{ role: 'user', content: 'hello' }], max_tokens: 16 },
    };
    await expectWholeAfter(async () => {
      await delay(200);
      proxy.cut(true);
      const refused = await client.ask(`${server.runtime}/v1/chat/completions`, chat);
      expect(refused.status).toBe(503);
      expect(refused.headers['retry-after']).toBeDefined();
      expect(refused.text).not.toContain('127.0.0.1');
      expect((await client.ask(`${server.runtime}/health`)).status).toBe(200);
      proxy.cut(false);
    });
  });
});

/** What the server's log tells beside its requests. */
const troubles = (server: TestServer): string =>
  server
    .stderr()
    .split('\n')
    .filter((line) => !line.includes('"msg":"request"'))
    .join('\n');

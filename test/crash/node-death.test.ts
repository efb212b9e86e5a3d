import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { makeControlPlane } from '../support/control-plane.ts';
import { bearer, makeHttpClient, type Answer, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { readState, type StoredState } from '../support/store-reader.ts';
import { chatBody, testConfig } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';

/** A node is taken for dead when its holds must have ended, and five seconds: fourteen after its last sign of life. */
const GATEWAY = 'gateway: { hold_ttl_ms: 8000, hold_grace_ms: 1000 }';
const NOTICED_MS = 40_000;

describePostgres('two nodes on one database, one of which is paused or killed', () => {
  let cluster: PostgresCluster;
  let model: OpenAiServer;
  let client: HttpClient;
  let doomed: TestServer;
  let survivor: TestServer;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
    client = makeHttpClient();
  });
  afterAll(async () => {
    await client.close();
    await cluster.stop();
  });

  beforeEach(async () => {
    model = await startOpenAiServer();
    const store = { kind: 'postgres', url: await cluster.createDatabase() } as const;
    const options = {
      store,
      config: testConfig(model.url, GATEWAY),
      env: { CASTELLAN_MASTER_KEY: Buffer.alloc(32, 3).toString('base64') },
    };
    doomed = await startServer(options);
    survivor = await startServer(options);
  });

  afterEach(async () => {
    await doomed.dispose();
    await survivor.dispose();
    await model.close();
  });

  /** Begins a stream on one node, pauses that node for as long as `pause` takes, and lets the stream end; what came of it. */
  const streamOver = async (node: TestServer, pause: () => Promise<void>): Promise<Answer | Error> => {
    const control = makeControlPlane(node, client);
    const { key } = await control.makeKey(control.firstTenant(), { name: 'paused', maxTokens: 100_000 });
    model.behaviour.chunkDelayMs = 100;
    const body = chatBody('one two three four five six seven eight nine ten', { stream: true });
    let begun = (): void => undefined;
    const head = new Promise<void>((resolve) => (begun = resolve));
    const url = `${node.runtime}/v1/chat/completions`;
    const answer = client
      .ask(url, { method: 'POST', headers: bearer(key), body, onHead: begun })
      .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    await head;
    node.signal('SIGSTOP');
    try {
      await pause();
    } finally {
      node.signal('SIGCONT');
      model.behaviour.chunkDelayMs = 0;
    }
    return answer;
  };

  test('a pause shorter than a hold and a margin costs nothing: the call is booked with what it used', { timeout: 60_000 }, async () => {
    const answer = await streamOver(doomed, () => delay(12_000));
    expect(answer).toMatchObject({ status: 200, text: expect.stringContaining('[DONE]') as string });
    const { usage } = await readState(survivor.reader());
    expect(usage).toMatchObject([{ interrupted: false, estimated: false }]);
  });

  test('after a longer one the answer is cut, since the other node has settled the call', { timeout: 2 * NOTICED_MS }, async () => {
    const settled = async (): Promise<boolean> => (await readState(survivor.reader())).usage.length > 0;
    expect(await streamOver(doomed, () => waitUntil(settled, NOTICED_MS))).toBeInstanceOf(Error);
    const { usage } = await readState(survivor.reader());
    expect(usage).toMatchObject([{ interrupted: true, estimated: true }]);
    // The log is written a moment after.
    await waitUntil(() => Promise.resolve(doomed.stderr().includes('a call was settled by another node')));
  });

  test('its calls are settled as interrupted by the other, whose own calls go on', { timeout: 2 * NOTICED_MS }, async () => {
    const control = makeControlPlane(doomed, client);
    const { key } = await control.makeKey(control.firstTenant(), { name: 'shared', maxTokens: 100_000 });
    const call = ({ runtime }: TestServer): Promise<Answer> =>
      client.ask(`${runtime}/v1/chat/completions`, { method: 'POST', headers: bearer(key), body: chatBody('hello') });
    const state = (): Promise<StoredState> => readState(survivor.reader());

    model.behaviour.gated = true;
    const lost = call(doomed).catch((error: unknown) => error);
    await waitUntil(() => Promise.resolve(model.waiting() === 1));
    const going = call(survivor);
    await waitUntil(() => Promise.resolve(model.waiting() === 2));
    expect((await state()).reservations.map((hold) => hold.state)).toEqual(['ACTIVE', 'ACTIVE']);
    await doomed.kill();
    expect(await lost).toBeInstanceOf(Error);

    await waitUntil(async () => (await state()).usage.length === 1, NOTICED_MS);
    const meanwhile = await state();
    expect(meanwhile.usage).toMatchObject([{ interrupted: true, estimated: true }]);
    expect(meanwhile.reservations.filter((hold) => hold.state === 'ACTIVE')).toHaveLength(1);

    model.release();
    const answer = await going;
    expect(answer.status).toBe(200);
    const after = await state();
    expect(after.usage.map(({ interrupted }) => String(interrupted)).toSorted((a, b) => a.localeCompare(b))).toEqual(['false', 'true']);
    expect(after.accounts.every(({ reserved }) => reserved === 0n)).toBe(true);
    expect((await survivor.stop()).code).toBe(0);
    expect((await survivor.verify()).discrepancies).toEqual([]);
  });
});

import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeControlPlane } from '../support/control-plane.ts';
import { bearer, makeHttpClient, type Answer, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { readState, type StoredState } from '../support/store-reader.ts';
import { chatBody, testConfig } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';

/** A node is taken for dead ten seconds after its last sign of life. */
const NOTICED_MS = 30_000;

describePostgres('two nodes on one database, one of which is killed', () => {
  let cluster: PostgresCluster;
  let model: OpenAiServer;
  let client: HttpClient;
  let doomed: TestServer;
  let survivor: TestServer;

  beforeAll(async () => {
    cluster = await startPostgresCluster();
    model = await startOpenAiServer();
    client = makeHttpClient();
    const store = { kind: 'postgres', url: await cluster.createDatabase() } as const;
    const options = { store, config: testConfig(model.url), env: { CASTELLAN_MASTER_KEY: Buffer.alloc(32, 3).toString('base64') } };
    doomed = await startServer(options);
    survivor = await startServer(options);
  });

  afterAll(async () => {
    await doomed.dispose();
    await survivor.dispose();
    await client.close();
    await model.close();
    await cluster.stop();
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

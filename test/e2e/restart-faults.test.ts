import { request } from 'node:http';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeControlPlane } from '../support/control-plane.ts';
import { bearer, makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeServer, type TestServer } from '../support/server-process.ts';
import type { TestStore } from '../support/store-reader.ts';
import { chatBody, testConfig } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';

/** What goes wrong around a restart, and who is left serving. */
function describeFaults(makeStore: () => Promise<TestStore>, { isForProcessesToo }: { readonly isForProcessesToo: boolean }): void {
  let model: OpenAiServer;
  let server: TestServer;
  let client: HttpClient;
  let key: string;
  let armFile: string;

  beforeEach(async () => {
    model = await startOpenAiServer({ chunkDelayMs: 50 });
    server = makeServer({ store: await makeStore(), config: testConfig(model.url, 'gateway: { drain_ms: 3000 }') });
    armFile = join(server.dataDir, '..', 'armed');
    await server.start({ kill: { point: 'batch.loaded', hit: 1, armFile } });
    client = makeHttpClient();
    const control = makeControlPlane(server, client);
    ({ key } = await control.makeKey(control.firstTenant(), { name: 'restart', maxTokens: 100_000_000 }));
  });
  afterEach(async () => {
    await client.close();
    await server.dispose();
    await model.close();
  });

  const lines = (message: string): Record<string, unknown>[] =>
    server
      .stderr()
      .split('\n')
      .filter((line) => line.includes(message))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  const served = (): Record<string, unknown>[] => lines('restart: the new process serves');
  const restart = async (): Promise<number> => {
    const before = served().length;
    server.signal('SIGUSR2');
    await waitUntil(() => Promise.resolve(served().length > before), 60_000);
    return Number(served().at(-1)?.['pid']);
  };
  const call = async (): Promise<number> =>
    (await client.ask(`${server.runtime}/v1/chat/completions`, { method: 'POST', headers: bearer(key), body: chatBody('hello') })).status;
  const isAlive = (pid: number): boolean => {
    try {
      return process.kill(pid, 0);
    } catch {
      return false;
    }
  };
  /** A stream whose head is there, and what comes of it in the end. */
  const openStream = (): Promise<{ whole: Promise<string> }> =>
    new Promise((resolve, reject) => {
      const sent = request(
        `${server.runtime}/v1/chat/completions`,
        { method: 'POST', headers: { ...bearer(key), 'content-type': 'application/json' } },
        (answer) => {
          let text = '';
          answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
          resolve({
            whole: new Promise((done, cut) => void answer.on('end', () => done(text)).on('error', cut)),
          });
        },
      );
      sent.on('error', reject);
      sent.end(JSON.stringify(chatBody('one two three four five six seven eight nine ten eleven twelve', { stream: true })));
    });

  test('a new process that dies while it starts is not missed', { timeout: 120_000 }, async () => {
    const file = join(server.dataDir, '..', 'castellan.yaml');
    const config = readFileSync(file, 'utf8');
    // Something to write at the start, so that there is a batch to die in.
    writeFileSync(file, `${config}\ntenants: [{ id: late, name: Late }]\n`);
    writeFileSync(armFile, '');
    server.signal('SIGUSR2');
    await waitUntil(() => Promise.resolve(lines('restart: the new process did not start').length === 1), 60_000);
    rmSync(armFile);
    expect(JSON.stringify(lines('restart: the new process did not start'))).toContain('it was ended by SIGKILL');
    expect(await call()).toBe(200);
    await restart();
    expect(await call()).toBe(200);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    expect((await server.verify()).discrepancies).toEqual([]);
  });

  test('a stop right after a restart waits for the streams of old and new', { timeout: 120_000 }, async () => {
    const before = await openStream();
    if (server.store.kind === 'postgres') await restart();
    const after = await openStream();
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    for (const stream of [before, after]) expect(await stream.whole).toMatch(/data: \[DONE\]\n\n$/);
    expect((await server.verify()).discrepancies).toEqual([]);
  });

  test('a process that serves does not outlive the one that the system watches', { timeout: 120_000 }, async () => {
    const pid = await restart();
    await server.kill();
    await waitUntil(() => Promise.resolve(!isAlive(pid)), 60_000);
    expect((await server.verify()).discrepancies).toEqual([]);
  });

  if (!isForProcessesToo) return;
  // What no store has a part in.

  test('the end of the process that serves is the end of the program', { timeout: 120_000 }, async () => {
    const pid = await restart();
    expect(pid).not.toBe(server.pid);
    process.kill(pid, 'SIGKILL');
    expect(await server.ended()).toEqual({ code: 1, signal: null });
    await server.start();
    expect(await call()).toBe(200);
  });

  test(
    'the signal reaches the first process by way of the one that serves, and the folder names the latter',
    { timeout: 120_000 },
    async () => {
      const first = await restart();
      await waitUntil(
        () => Promise.resolve((JSON.parse(readFileSync(join(server.dataDir, 'run.json'), 'utf8')) as { pid: number }).pid === first),
        30_000,
      );
      process.kill(first, 'SIGUSR2');
      await waitUntil(() => Promise.resolve(served().length === 2), 60_000);
      expect(served().at(-1)?.['pid']).not.toBe(first);
      expect(await call()).toBe(200);
      await waitUntil(() => Promise.resolve(!isAlive(first)), 60_000);
    },
  );
}

describePostgres('faults of a restart on PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());
  describeFaults(async () => ({ kind: 'postgres', url: await cluster.createDatabase() }), { isForProcessesToo: false });
});

describe('faults of a restart on SQLite', () => {
  describeFaults(() => Promise.resolve({ kind: 'sqlite' }), { isForProcessesToo: true });
});

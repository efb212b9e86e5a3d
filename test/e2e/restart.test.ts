import { request, Agent } from 'node:http';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeControlPlane } from '../support/control-plane.ts';
import { makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { runCliProcess } from '../support/cli-process.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import type { TestStore } from '../support/store-reader.ts';
import { chatBody, testConfig } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';

const CALLERS = 4;
const STREAMS = 3;
const RESTARTS = 3;

/** How one call went: what it was answered, or how its connection broke. */
interface Call {
  readonly status: number;
  readonly text: string;
  readonly error?: string;
}

/** Calls on a connection of its own each; with an agent that keeps them, on one that is used again and again. */
function callOnce(url: string, key: string, options: { readonly body: object; readonly agent?: Agent }): Promise<Call> {
  const { body, agent } = options;
  return new Promise((resolve) => {
    let status = 0;
    let text = '';
    const fail = (error: Error): void => resolve({ status, text, error: error.message });
    const sent = request(
      `${url}/v1/chat/completions`,
      {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        ...(agent === undefined ? { agent: new Agent({ keepAlive: false }) } : { agent }),
      },
      (answer) => {
        status = answer.statusCode ?? 0;
        answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        answer.on('end', () => resolve({ status, text })).on('error', fail);
      },
    );
    sent.on('error', fail);
    sent.end(JSON.stringify(body));
  });
}

const failures = (calls: readonly Call[], isWhole: (text: string) => boolean): Call[] =>
  calls.filter(({ status, text, error }) => status !== 200 || error !== undefined || !isWhole(text));

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

/** Restarts while callers call, each anew on a connection of its own, and streams are open; nobody may notice. */
function describeRestarts(makeStore: () => Promise<TestStore>): void {
  let model: OpenAiServer;
  let server: TestServer;
  let client: HttpClient;
  let key: string;

  beforeEach(async () => {
    model = await startOpenAiServer({ chunkDelayMs: 60 });
    server = await startServer({ store: await makeStore(), config: testConfig(model.url) });
    client = makeHttpClient();
    const control = makeControlPlane(server, client);
    ({ key } = await control.makeKey(control.firstTenant(), { name: 'restart', maxTokens: 100_000_000 }));
  });
  afterEach(async () => {
    await client.close();
    await server.dispose();
    await model.close();
  });

  const served = (): number => count(server.stderr(), /restart: the new process serves/g);
  const refused = (): number => count(server.stderr(), /restart: the new process did not start/g);
  const restart = async (): Promise<void> => {
    const before = served();
    server.signal('SIGUSR2');
    await waitUntil(() => Promise.resolve(served() > before), 60_000);
  };

  const isAnswer = (text: string): boolean => text.includes('"finish_reason":"stop"');
  const isStream = (text: string): boolean => /"usage":\{[^]*data: \[DONE\]\n\n$/.test(text);

  test('not one call is refused, reset or cut, and each is booked once', { timeout: 120_000 }, async () => {
    let going = true;
    const calls: Call[] = [];
    const keptCalls: Call[] = [];
    const streams: Call[] = [];
    const words = 'one two three four five six seven eight nine ten eleven twelve';
    const caller = async (): Promise<void> => {
      while (going) {
        calls.push(await callOnce(server.runtime, key, { body: chatBody('hello again') }));
        // Constant load, but not so much that the new process starves.
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    // Its pauses are longer than a retiring process looks for idle connections.
    const keeper = async (): Promise<void> => {
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      while (going) {
        keptCalls.push(await callOnce(server.runtime, key, { body: chatBody('once more'), agent }));
        await new Promise((resolve) => setTimeout(resolve, 150));
      }
      agent.destroy();
    };
    const streamer = async (): Promise<void> => {
      const body = chatBody(words, { stream: true, stream_options: { include_usage: true } });
      while (going) streams.push(await callOnce(server.runtime, key, { body }));
    };
    const isShared = server.store.kind === 'postgres';
    const load = Promise.all([
      ...Array.from({ length: CALLERS }, caller),
      ...Array.from({ length: STREAMS }, streamer),
      // A client that keeps its connection is told to part with it; where one process has to end before the next begins, it may be too late.
      ...(isShared ? [keeper()] : []),
    ]);
    const atRestart: number[] = [];
    for (let index = 0; index < RESTARTS; index += 1) {
      await waitUntil(() => Promise.resolve(calls.length > (atRestart.at(-1) ?? 0) + 20), 30_000);
      await restart();
      atRestart.push(calls.length);
    }
    const doneAt = calls.length;
    await waitUntil(() => Promise.resolve(calls.length > doneAt + 20), 30_000);
    going = false;
    await load;

    expect(failures(calls, isAnswer)).toEqual([]);
    expect(failures(streams, isStream)).toEqual([]);
    expect(failures(keptCalls, isAnswer)).toEqual([]);
    expect(refused()).toBe(0);
    // The process that the system watches is the one that it started.
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    const { discrepancies } = await server.verify();
    expect(discrepancies).toEqual([]);
    const [[booked] = []] = await server.reader().snapshot([`SELECT count(*) AS n FROM reservations WHERE state = 'COMMITTED'`]);
    expect(Number(booked?.['n'])).toBe(calls.length + streams.length + keptCalls.length);
    const [[open] = []] = await server.reader().snapshot([`SELECT count(*) AS n FROM reservations WHERE state = 'ACTIVE'`]);
    expect(Number(open?.['n'])).toBe(0);
  });

  test('a new process that does not start leaves the old one serving, and says so', { timeout: 120_000 }, async () => {
    const config = join(server.dataDir, '..', 'castellan.yaml');
    const good = readFileSync(config, 'utf8');
    writeFileSync(config, 'gateway: { drain_ms: never }\n');
    const command = (...args: string[]) => runCliProcess(['--data-dir', server.dataDir, 'restart', ...args]);
    const failed = await command();
    expect([failed.code, failed.stdout]).toEqual([1, '']);
    expect(failed.stderr).toMatch(/the new process did not start \(it ended with code 78\), and the old one serves on/);
    // The log comes through a pipe of its own.
    await waitUntil(() => Promise.resolve(refused() === 1), 10_000);
    expect(server.stderr()).toMatch(/gateway\.drain_ms must be a whole number/);
    expect(failures([await callOnce(server.runtime, key, { body: chatBody('still here') })], isAnswer)).toEqual([]);
    writeFileSync(config, good);
    const done = await command('-o', 'json');
    expect(done.code).toBe(0);
    const { pid } = JSON.parse(done.stdout) as { pid: number };
    const line = new RegExp(`"pid":${pid}.*restart: the new process serves`);
    await waitUntil(() => Promise.resolve(line.test(server.stderr())), 10_000);
    // The command is done only when the new process answers.
    expect(failures([await callOnce(server.runtime, key, { body: chatBody('and anew') })], isAnswer)).toEqual([]);
    // The same once more, with a process that was itself started by a restart.
    writeFileSync(config, 'gateway: { drain_ms: never }\n');
    server.signal('SIGUSR2');
    await waitUntil(() => Promise.resolve(refused() === 2), 60_000);
    expect(failures([await callOnce(server.runtime, key, { body: chatBody('still there') })], isAnswer)).toEqual([]);
    expect(await server.stop()).toEqual({ code: 0, signal: null });
    expect((await server.verify()).discrepancies).toEqual([]);
  });
}

describePostgres('restart on PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());
  describeRestarts(async () => ({ kind: 'postgres', url: await cluster.createDatabase() }));
});

describe('restart on SQLite', () => {
  describeRestarts(() => Promise.resolve({ kind: 'sqlite' }));
});

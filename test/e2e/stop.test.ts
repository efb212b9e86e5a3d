import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { DATABASE_FILE } from '../../src/stores/sqlite/connection.ts';
import { makeControlPlane } from '../support/control-plane.ts';
import { bearer, makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { readState } from '../support/store-reader.ts';
import { chatBody, testConfig } from '../support/test-config.ts';

const run = promisify(execFile);

let model: OpenAiServer;
let server: TestServer;
let client: HttpClient;

beforeAll(async () => {
  model = await startOpenAiServer({ chunkDelayMs: 60 });
  server = await startServer({ store: { kind: 'sqlite' }, config: testConfig(model.url) });
  client = makeHttpClient();
});

afterAll(async () => {
  await client.close();
  await server.dispose();
  await model.close();
});

test('a stop finishes the stream in flight, takes nothing new, survives a second SIGTERM and ends with 0', async () => {
  const control = makeControlPlane(server, client);
  const { key } = await control.makeKey(control.firstTenant(), { name: 'stream', maxTokens: 10_000 });
  const url = `${server.runtime}/v1/chat/completions`;
  const body = chatBody('one two three four five six seven eight nine ten', { stream: true, stream_options: { include_usage: true } });
  let begun = (): void => undefined;
  const head = new Promise<void>((resolve) => (begun = resolve));
  const streaming = client.ask(url, { method: 'POST', headers: bearer(key), body, onHead: begun });
  await head;
  server.signal('SIGTERM');
  server.signal('SIGTERM');
  const answer = await streaming;
  expect(answer.status).toBe(200);
  expect(answer.text).toMatch(/"usage":\{[^]*data: \[DONE\]\n\n$/);
  expect(await server.ended()).toEqual({ code: 0, signal: null });
  const state = await readState(server.reader());
  expect(state.usage.map(({ id, interrupted }) => ({ id, interrupted }))).toEqual([
    { id: answer.headers['x-castellan-call-id'], interrupted: false },
  ]);
  await expect(client.ask(`${server.runtime}/health`)).rejects.toThrow('ECONNREFUSED');
  expect((await server.verify()).discrepancies).toEqual([]);
});

test('a start on a database of a newer program is refused with one sentence, and changes nothing', async () => {
  const db = new Database(join(server.dataDir, DATABASE_FILE));
  db.exec("INSERT INTO schema_version (version, name) VALUES (9999, '9999-later')");
  db.close();
  const main = join(import.meta.dirname, '../../src/server/main.ts');
  const env = {
    PATH: process.env['PATH'] ?? '',
    CASTELLAN_DATA_DIR: server.dataDir,
    CASTELLAN_RUNTIME_PORT: '0',
    CASTELLAN_ADMIN_PORT: '0',
  };
  const refused = (await run(process.execPath, [main], { env, timeout: 20_000 }).catch((error: unknown) => error)) as {
    code: number;
    stderr: string;
  };
  expect(refused.code).toBeGreaterThan(0);
  expect(sentences(refused.stderr)).toEqual([
    expect.stringMatching(/^The database has schema version 9999, but this program knows only up to version \d+: .*\.$/),
  ]);
});

/** What is written for people: everything but the lines of the log. */
const sentences = (stderr: string): string[] =>
  stderr
    .trim()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{'));

import { cpSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { masterKeyOf } from '../../src/server/secrets/aes-secret-box.ts';
import { bearer, makeHttpClient, operator, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { makeServer, startServer, type TestServer } from '../support/server-process.ts';
import { chatBody, testConfig, UPSTREAM_KEY } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';
import { ROTATION_POINTS } from './kill-points.ts';

let upstream: OpenAiServer;
let http: HttpClient;
/** A server that has made its first start and a key, and runs no more; each test goes on from a copy of its folder. */
let before: { readonly server: TestServer; readonly key: string };
beforeAll(async () => {
  upstream = await startOpenAiServer();
  http = makeHttpClient();
  const server = await startServer({ store: { kind: 'sqlite' }, config: testConfig(upstream.url) });
  const made = await http.ask(`${server.admin}/api/keys`, {
    method: 'POST',
    headers: bearer(server.credentials().admin_key),
    body: { name: 'kept' },
  });
  before = { server, key: made.json<{ key: string }>().key };
  await server.stop();
});
afterAll(async () => {
  await before.server.dispose();
  await http.close();
  await upstream.close();
});

const keyIdOf = (text: string): string => masterKeyOf(Buffer.from(text, 'base64')).id;

/** Nothing that a caller could notice is missing: the upstream's credential, the keys of the table, and the one that its creator sees. */
async function expectUsable(server: TestServer, key: string): Promise<void> {
  const before = upstream.received.length;
  const answer = await http.ask(`${server.runtime}/v1/chat/completions`, { method: 'POST', headers: bearer(key), body: chatBody('hello') });
  expect(answer.status).toBe(200);
  expect(upstream.received[before]?.headers.authorization).toBe(`Bearer ${UPSTREAM_KEY}`);
  const keys = await http.ask(`${server.admin}/api/keys`, { headers: bearer(server.credentials().admin_key) });
  expect(keys.json<{ key: string }[]>().map((each) => each.key)).toContain(key);
}

/** Values are sealed anew page by page: settings, then keys, then upstreams. The change may die after each. */
const KILLS = [...ROTATION_POINTS.map((point) => [point, 1] as const), ['rotate.resealed', 2] as const, ['rotate.resealed', 3] as const];

// After the kill without the configuration file: it would give the upstream its credential again, whatever became of the stored one.
test.each(KILLS)(
  'a change of the master key that is killed at %s, hit %i, goes on with the next start, and nothing is lost',
  { timeout: 60_000 },
  async (point, hit) => {
    const server = makeServer({ store: { kind: 'sqlite' }, config: testConfig(upstream.url) });
    const file = (name: string): string => join(server.dataDir, name);
    const rotate = (): Promise<unknown> =>
      http.ask(`${server.admin}/v1/x-castellan/rotate-master-key`, {
        method: 'POST',
        headers: operator(server.credentials().operator_key),
      });
    try {
      cpSync(before.server.dataDir, server.dataDir, { recursive: true });
      const { key } = before;
      const old = readFileSync(file('master.key'), 'utf8');

      await server.start({ kill: { point, hit, armFile: null } });
      await expect(rotate()).rejects.toThrow(/other side closed|ECONNRESET|socket/);
      expect(await server.ended()).toEqual({ code: null, signal: 'SIGKILL' });

      await server.start({ env: { CASTELLAN_CONFIG: '' } });
      await expectUsable(server, key);
      // The start ends the change by itself.
      await waitUntil(() => Promise.resolve(!existsSync(file('master.key.next'))));
      const fresh = readFileSync(file('master.key'), 'utf8');
      expect(fresh).not.toBe(old);
      expect(readFileSync(file('master.key.previous'), 'utf8')).toBe(old);
      await expectUsable(server, key);
      await server.stop();

      // Nothing is left that the old key sealed, so that once will do to see that the new one is enough, and the old of no use any more.
      const bodies = await server.reader().snapshot(['api_keys', 'upstreams', 'settings'].map((table) => `SELECT body FROM ${table}`));
      const texts = JSON.stringify(bodies);
      expect([texts.includes(keyIdOf(old)), texts.includes(keyIdOf(fresh))]).toEqual([false, true]);
      if (point !== 'rotate.replaced') return;
      await server.start({ env: { CASTELLAN_CONFIG: '' } });
      await expectUsable(server, key);
      await server.stop();
      writeFileSync(file('master.key'), old);
      server.launch({ env: { CASTELLAN_CONFIG: '' } });
      expect(await server.ended()).toEqual({ code: 78, signal: null });
      expect(server.stderr()).toContain('is not the one that this database was made with');
    } finally {
      await server.dispose();
    }
  },
);

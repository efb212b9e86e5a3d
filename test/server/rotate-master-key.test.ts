import { createDecipheriv, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Running } from '../../src/server/boot.ts';
import { masterKeyOf, sealingKeyOf, sealWith } from '../../src/server/secrets/aes-secret-box.ts';
import { bearer, makeHttpClient, operator, type Answer, type HttpClient } from '../support/http-client.ts';
import { startOpenAiServer, type OpenAiServer } from '../support/openai-server.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeStoreReader, type TestStore } from '../support/store-reader.ts';
import { chatBody, TEST_MODEL } from '../support/test-config.ts';
import { waitUntil } from '../support/wait-until.ts';
import { makeTestFolder, type TestFolder } from './in-process.ts';

const UPSTREAM_SECRET = 'sk-kept-through-every-change';

let upstream: OpenAiServer;
let http: HttpClient;
let folder: TestFolder;
beforeAll(async () => {
  upstream = await startOpenAiServer();
  http = makeHttpClient();
});
afterAll(async () => {
  await http.close();
  await upstream.close();
});
beforeEach(() => {
  folder = makeTestFolder();
});
afterEach(() => folder.dispose());

const keyFile = (name: string): string => join(folder.dataDir, name);
const keyIdIn = (name: string): string => masterKeyOf(Buffer.from(readFileSync(keyFile(name), 'utf8'), 'base64')).id;

const ask = (running: Running, method: string, path: string, body?: unknown): Promise<Answer> =>
  http.ask(`${running.listeners.admin.origin}/v1/x-castellan${path}`, {
    method,
    headers: operator(running.prepared.credentials.operator_key),
    ...(body === undefined ? {} : { body }),
  });
const rotate = (running: Running): Promise<Answer> => ask(running, 'POST', '/rotate-master-key');

/** An upstream with a credential, a model on it, and a key whose creator may see it again. */
async function furnish(running: Running): Promise<{ key: string }> {
  const made = [
    await ask(running, 'POST', '/upstreams', { id: 'own', base_url: upstream.url, api_key: UPSTREAM_SECRET }),
    await ask(running, 'POST', '/models', { id: TEST_MODEL, upstreams: [{ id: 'own' }] }),
    await ask(running, 'POST', '/prices', { model_id: TEST_MODEL, input_per_1m: 1, output_per_1m: 1 }),
  ];
  expect(made.map(({ status }) => status)).toEqual([201, 201, 201]);
  const key = await ask(running, 'POST', '/tenants/default/inference-keys', { name: 'kept', member_id: 'admin' });
  return key.json<{ key: string }>();
}

async function call(running: Running, key: string): Promise<number> {
  const before = upstream.received.length;
  const options = { method: 'POST', headers: bearer(key), body: chatBody('hello') };
  const { status } = await http.ask(`${running.listeners.runtime.origin}/v1/chat/completions`, options);
  if (status === 200)
    expect(upstream.received.slice(before).every(({ headers }) => headers.authorization === `Bearer ${UPSTREAM_SECRET}`)).toBe(true);
  return status;
}

/** The values of the keys that their creator sees. */
async function shownKeys(running: Running): Promise<Record<string, string>> {
  const { admin_key: adminKey = '' } = running.prepared.credentials;
  const list = await http.ask(`${running.listeners.admin.origin}/api/keys`, { headers: bearer(adminKey) });
  return Object.fromEntries(list.json<{ name: string; key: string }[]>().map(({ name, key }) => [name, key]));
}

/** The ids of the keys that the sealed texts of a database name. */
async function namedKeys(store: TestStore = { kind: 'sqlite' }): Promise<Set<string | null>> {
  const reader = makeStoreReader(store, folder.dataDir);
  const bodies = ['api_keys', 'upstreams', 'settings'].map((table) => `SELECT body FROM ${table}`);
  const texts = (await reader.snapshot(bodies)).flat().map(({ body }) => (typeof body === 'string' ? body : JSON.stringify(body)));
  const sealed = texts.flatMap((text) => [...text.matchAll(/"(?:sealed|apiKeySealed)":"([^"]+)"/g)].map(([, value = '']) => value));
  expect(sealed.length).toBeGreaterThan(0);
  return new Set(sealed.map(sealingKeyOf));
}

describe('with the key in a file', () => {
  test('every secret stays usable, is sealed with the new key alone, and the old key is kept for old backups', async () => {
    const running = await folder.start();
    const { key } = await furnish(running);
    const before = { id: keyIdIn('master.key'), text: readFileSync(keyFile('master.key'), 'utf8') };
    expect(await namedKeys()).toEqual(new Set([before.id]));

    const answer = await rotate(running);
    const afterId = keyIdIn('master.key');
    expect(answer.status).toBe(200);
    // The secret of the key table, the demo key, the key, the credential of the upstream.
    expect(answer.json()).toEqual({ from_key_id: before.id, to_key_id: afterId, resealed: 4 });
    expect(afterId).not.toBe(before.id);
    expect(readFileSync(keyFile('master.key.previous'), 'utf8')).toBe(before.text);
    expect(existsSync(keyFile('master.key.next'))).toBe(false);
    for (const file of ['master.key', 'master.key.previous']) expect(statSync(keyFile(file)).mode & 0o777).toBe(0o600);
    expect(await namedKeys()).toEqual(new Set([afterId]));
    expect(await call(running, key)).toBe(200);
    expect((await shownKeys(running))['kept']).toBe(key);

    await running.stop();
    const again = await folder.start();
    expect(await call(again, key)).toBe(200);
    expect((await shownKeys(again))['kept']).toBe(key);
    await again.stop();
    writeFileSync(keyFile('master.key'), before.text);
    await expect(folder.start()).rejects.toThrow(
      new RegExp(`^The master key in \\S+master\\.key is not the one .* sealed with the key ${afterId}, and at hand is ${before.id}\\.$`),
    );
  });

  test('no call fails while the key is changed again and again', async () => {
    const running = await folder.start();
    const { key } = await furnish(running);
    let isOver = false;
    const statuses: number[] = [];
    const load = Promise.all(
      Array.from({ length: 4 }, async () => {
        while (!isOver) statuses.push(await call(running, key));
      }),
    );
    for (let change = 0; change < 5; change++) expect((await rotate(running)).status).toBe(200);
    isOver = true;
    await load;
    expect(statuses.length).toBeGreaterThan(5);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(await namedKeys()).toEqual(new Set([keyIdIn('master.key')]));
  });

  test('a call that looked before the change reaches its next upstream after it', async () => {
    const running = await folder.start();
    const { key } = await furnish(running);
    const failing = await startOpenAiServer({ gated: true, fault: { kind: 'status', status: 500 } });
    try {
      expect((await ask(running, 'POST', '/upstreams', { id: 'failing', base_url: failing.url, api_key: 'sk-1' })).status).toBe(201);
      const upstreams = [{ id: 'failing' }, { id: 'own' }];
      expect((await ask(running, 'PATCH', `/models/${TEST_MODEL}`, { upstreams })).status).toBe(200);
      const calling = call(running, key);
      await waitUntil(() => Promise.resolve(failing.waiting() === 1));
      // Nobody has asked the second upstream yet: its credential is opened with what the call knew before the change.
      expect((await rotate(running)).status).toBe(200);
      failing.release();
      expect(await calling).toBe(200);
    } finally {
      await failing.close();
    }
  });

  test('two that ask at once are told of one change', async () => {
    const running = await folder.start();
    const [one, other] = await Promise.all([rotate(running), rotate(running)]);
    expect(one.json()).toEqual(other.json());
  });

  test('values of the first release, which name no key, are sealed anew as well', async () => {
    const first = await folder.start();
    const { key } = await furnish(first);
    await first.stop();
    const db = new Database(join(folder.dataDir, 'castellan.db'));
    const id = keyIdIn('master.key');
    for (const table of ['api_keys', 'upstreams', 'settings']) db.exec(`UPDATE ${table} SET body = replace(body, '.${id}"', '"')`);
    db.close();
    expect(await namedKeys()).toEqual(new Set([null]));

    const running = await folder.start();
    expect(await call(running, key)).toBe(200);
    expect((await rotate(running)).json()).toMatchObject({ resealed: 4 });
    expect(await namedKeys()).toEqual(new Set([keyIdIn('master.key')]));
    expect(await call(running, key)).toBe(200);
  });

  test('409: a value that opens with no key keeps both keys, and everything else goes on', async () => {
    const first = await folder.start();
    const { key } = await furnish(first);
    await first.stop();
    const foreign = sealWith(masterKeyOf(randomBytes(32)), 'lost', 'upstream:demo');
    const db = new Database(join(folder.dataDir, 'castellan.db'));
    db.prepare(`UPDATE upstreams SET body = json_set(body, '$.apiKeySealed', ?) WHERE id = 'demo'`).run(foreign);
    db.close();
    const running = await folder.start();
    const refused = await rotate(running);
    expect([refused.status, refused.text]).toEqual([409, expect.stringContaining('the first in the upstream demo') as string]);
    expect(existsSync(keyFile('master.key.next'))).toBe(true);
    expect(await call(running, key)).toBe(200);

    expect((await ask(running, 'PATCH', '/upstreams/demo', { api_key: null })).status).toBe(200);
    const done = await rotate(running);
    expect([done.status, done.json()]).toEqual([200, expect.objectContaining({ to_key_id: keyIdIn('master.key') })]);
    expect(existsSync(keyFile('master.key.next'))).toBe(false);
  });

  test('409: a sealed text in a field that nobody listed is found by the name of its key, and keeps both keys', async () => {
    const first = await folder.start();
    await furnish(first);
    await first.stop();
    const old = masterKeyOf(Buffer.from(readFileSync(keyFile('master.key'), 'utf8'), 'base64'));
    const db = new Database(join(folder.dataDir, 'castellan.db'));
    const hidden = sealWith(old, 'secret', 'model:demo-echo:later');
    db.prepare(`UPDATE models SET body = json_set(body, '$.later', json(?)) WHERE id = 'demo-echo'`).run(
      JSON.stringify([{ deep: hidden }]),
    );
    db.close();
    const running = await folder.start();
    const refused = await rotate(running);
    expect([refused.status, refused.text]).toEqual([409, expect.stringContaining('the first in the model demo-echo') as string]);
    expect([keyIdIn('master.key'), existsSync(keyFile('master.key.next'))]).toEqual([old.id, true]);
  });

  test('the change leaves one line in the audit', async () => {
    const running = await folder.start();
    await rotate(running);
    const rows = await makeStoreReader({ kind: 'sqlite' }, folder.dataDir).rows(
      `SELECT actor_kind, resource_kind, resource_id, code FROM audit WHERE operation = 'rotate-master-key'`,
    );
    expect(rows).toEqual([{ actor_kind: 'operator', resource_kind: 'master_key', resource_id: keyIdIn('master.key'), code: null }]);
  });
});

describe('with the key in the environment', () => {
  const old = randomBytes(32).toString('base64');
  const fresh = randomBytes(32).toString('base64');

  test('409 with what to do, where only one key is given', async () => {
    const running = await folder.start({ env: { CASTELLAN_MASTER_KEY: old } });
    const answer = await rotate(running);
    expect(answer.status).toBe(409);
    expect(answer.text).toContain('CASTELLAN_MASTER_KEY_PREVIOUS');
    expect(existsSync(keyFile('master.key'))).toBe(false);
  });

  test('with both keys everything is sealed with the new one, which is enough from then on', async () => {
    const first = await folder.start({ env: { CASTELLAN_MASTER_KEY: old } });
    const { key } = await furnish(first);
    await first.stop();
    const both = await folder.start({ env: { CASTELLAN_MASTER_KEY: fresh, CASTELLAN_MASTER_KEY_PREVIOUS: old } });
    // Until the change is asked for, the old one seals: another node may have only that.
    await ask(both, 'PATCH', '/upstreams/own', { api_key: UPSTREAM_SECRET });
    const oldId = masterKeyOf(Buffer.from(old, 'base64')).id;
    const freshId = masterKeyOf(Buffer.from(fresh, 'base64')).id;
    expect(await namedKeys()).toEqual(new Set([oldId]));
    expect((await rotate(both)).json()).toMatchObject({ from_key_id: oldId, to_key_id: freshId });
    expect(await namedKeys()).toEqual(new Set([freshId]));
    expect(await call(both, key)).toBe(200);
    await both.stop();
    const after = await folder.start({ env: { CASTELLAN_MASTER_KEY: fresh } });
    expect(await call(after, key)).toBe(200);
    await after.stop();
    await expect(folder.start({ env: { CASTELLAN_MASTER_KEY: old } })).rejects.toThrow(
      /^The master key in CASTELLAN_MASTER_KEY is not the one/,
    );
  });

  test('a previous key without a current one stops the start', async () => {
    await expect(folder.start({ env: { CASTELLAN_MASTER_KEY_PREVIOUS: old } })).rejects.toThrow(/is set without CASTELLAN_MASTER_KEY: /);
  });
});

describePostgres('several nodes', () => {
  let cluster: PostgresCluster;
  let second: TestFolder;
  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());
  beforeEach(() => {
    second = makeTestFolder();
  });
  afterEach(() => second.dispose());

  test('a change asked of one node is followed by the others, which then seal with the new key too', { timeout: 60_000 }, async () => {
    const url = await cluster.createDatabase();
    const old = randomBytes(32).toString('base64');
    const fresh = randomBytes(32);
    const before = await folder.start({ env: { DATABASE_URL: url, CASTELLAN_MASTER_KEY: old } });
    const { key } = await furnish(before);
    await before.stop();
    const env = { DATABASE_URL: url, CASTELLAN_MASTER_KEY: fresh.toString('base64'), CASTELLAN_MASTER_KEY_PREVIOUS: old };
    const one = await folder.start({ env });
    const other = await second.start({ env: { ...env, ADMIN_API_KEY: one.prepared.credentials.operator_key } });
    expect((await rotate(one)).status).toBe(200);
    expect(await call(other, key)).toBe(200);
    const serverOf = async (running: Running) =>
      (await ask(running, 'GET', '/server')).json<{ master_key: { id: string } }>().master_key.id;
    await waitUntil(async () => (await serverOf(other)) === masterKeyOf(fresh).id);
    await ask(other, 'PATCH', '/upstreams/own', { api_key: UPSTREAM_SECRET });
    expect(await namedKeys({ kind: 'postgres', url })).toEqual(new Set([masterKeyOf(fresh).id]));
    expect(await call(one, key)).toBe(200);
  });

  test('409: keys in files, where another node lives that has only the old one', async () => {
    const url = await cluster.createDatabase();
    const one = await folder.start({ env: { DATABASE_URL: url } });
    await second.start({ env: { DATABASE_URL: url, CASTELLAN_MASTER_KEY: readFileSync(keyFile('master.key'), 'utf8').trim() } });
    const answer = await rotate(one);
    expect([answer.status, answer.text]).toEqual([409, expect.stringContaining('1 other nodes use this database') as string]);
    expect(existsSync(keyFile('master.key.next'))).toBe(false);
  });
});

test('the first release opens what this one seals', () => {
  const key = randomBytes(32);
  for (const plaintext of ['', 'a', 'ab', 'abc', 'tk_secret é']) {
    const sealed = sealWith(masterKeyOf(key), plaintext, 'key:1');
    // As the first release read it: base64 of version, nonce, tag, ciphertext, and nothing else.
    const bytes = Buffer.from(sealed, 'base64');
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(1, 13));
    decipher.setAAD(Buffer.from('castellan:1:key:1'));
    decipher.setAuthTag(bytes.subarray(13, 29));
    expect(bytes[0]).toBe(1);
    expect(decipher.update(bytes.subarray(29), undefined, 'utf8') + decipher.final('utf8')).toBe(plaintext);
  }
});

import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeControlPlane, type ControlPlane, type MadeKey } from '../support/control-plane.ts';
import { bearer, makeHttpClient, type Answer, type HttpClient } from '../support/http-client.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { readState } from '../support/store-reader.ts';

const FOLDER_MIB = 16;

let folder: string;
let server: TestServer;
let client: HttpClient;
let control: ControlPlane;
let key: MadeKey;

/** Mounting is for root; a CI machine lets its user become it. */
const asRoot = (command: string, args: readonly string[]): void => {
  const isRoot = process.getuid?.() === 0;
  execFileSync(isRoot ? command : 'sudo', isRoot ? args : ['-n', command, ...args]);
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'castellan-small-disk-'));
  asRoot('mount', ['-t', 'tmpfs', '-o', `size=${FOLDER_MIB}m,mode=0777`, 'tmpfs', folder]);
  server = await startServer({ store: { kind: 'sqlite' }, dataDir: folder });
  client = makeHttpClient();
  control = makeControlPlane(server, client);
  key = await control.makeKey(control.firstTenant(), { name: 'before' });
});

afterAll(async () => {
  await client.close();
  await server.dispose();
  asRoot('umount', [folder]);
  rmSync(folder, { recursive: true });
});

const call = (): Promise<Answer> =>
  client.ask(`${server.runtime}/v1/chat/completions`, {
    method: 'POST',
    headers: bearer(key.key),
    body: { model: 'demo-echo', messages: [{ role: 'user', content: 'hello' }], max_tokens: 16 },
  });

const createKey = (name: string): Promise<Answer> =>
  client.ask(`${server.admin}/api/keys`, { method: 'POST', headers: bearer(server.credentials().admin_key), body: { name } });

const readsLive = async (): Promise<void> => {
  const admin = bearer(server.credentials().admin_key);
  for (const path of ['/api/keys', '/api/billing/usage', '/api/billing/time-series?time=1h']) {
    expect({ path, status: (await client.ask(`${server.admin}${path}`, { headers: admin })).status }).toEqual({ path, status: 200 });
  }
  expect((await client.ask(`${server.runtime}/v1/models`, { headers: bearer(key.key) })).status).toBe(200);
};

/** Takes every byte that is left. */
function fillDisk(file: string): void {
  const fd = openSync(file, 'w');
  try {
    for (let size = 1024 * 1024; size >= 1;) {
      try {
        writeSync(fd, Buffer.alloc(size, 1));
      } catch {
        size = Math.floor(size / 16);
      }
    }
  } finally {
    closeSync(fd);
  }
}

test(
  'a full disk makes writes 503 and leaves reads alive; with room again everything works, and nothing was lost',
  { timeout: 60_000 },
  async () => {
    const answered = [String((await call()).headers['x-castellan-call-id'])];
    const ballast = join(folder, 'ballast');
    fillDisk(ballast);

    // What SQLite has of its log on the disk already may take a few more, and the last of them may find room for its hold and none for
    // its settlement: then its answer is cut off, and it is settled later. After that nothing goes.
    let refused: Answer | undefined;
    let cutOff = 0;
    for (let attempt = 0; attempt < 2000 && refused === undefined; attempt++) {
      const answer = await call().catch(() => null);
      if (answer === null) cutOff += 1;
      else if (answer.status === 200) answered.push(String(answer.headers['x-castellan-call-id']));
      else refused = answer;
    }
    expect(refused?.status).toBe(503);
    expect(refused?.headers['retry-after']).toBeDefined();
    expect(refused?.text).not.toContain(folder);
    const refusedKey = await createKey('while full');
    expect(refusedKey.status).toBe(503);
    expect(refusedKey.text).not.toContain(folder);
    await readsLive();

    rmSync(ballast);
    const after = await call();
    expect(after.status).toBe(200);
    answered.push(String(after.headers['x-castellan-call-id']));
    expect((await createKey('after')).status).toBe(200);
    await readsLive();
    expect((await server.stop()).code).toBe(0);

    const state = await readState(server.reader());
    const booked = new Set(state.usage.map(({ id }) => id));
    expect(answered.filter((id) => !booked.has(id))).toEqual([]);
    expect(booked.size).toBe(answered.length + cutOff);
    expect(state.usage).toHaveLength(booked.size);
    expect(state.keys.map(({ name }) => name)).not.toContain('while full');
    expect(state.accounts.every(({ reserved }) => reserved === 0n)).toBe(true);
    expect((await server.verify()).discrepancies).toEqual([]);
  },
);

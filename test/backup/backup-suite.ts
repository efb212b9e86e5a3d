import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { runCliProcess, startCli, type CliResult } from '../support/cli-process.ts';
import { bearer, makeHttpClient, operator, type HttpClient } from '../support/http-client.ts';
import { makeServer, type TestServer } from '../support/server-process.ts';
import type { TestStore } from '../support/store-reader.ts';
import { waitUntil } from '../support/wait-until.ts';

/** Where a backup of a store may be restored to: a store that nobody has used, and how to look into it. */
export interface BackupPlace {
  readonly store: TestStore;
  /** Runs a statement on the store of a server, past the program. */
  raw(server: TestServer, sql: string): Promise<Record<string, unknown>[]>;
  /** Makes another, empty store of the same kind. */
  another(): Promise<TestStore>;
  /** Statement that fills the store with tens of megabytes of rows that nobody reads. */
  readonly fill: string;
  /** Whether a restore into `target` is at work, so that it can be killed in the middle. */
  isRestoring(target: { readonly dataDir: string; readonly store: TestStore }): Promise<boolean>;
}

const RUN_MS = 60_000;
const OTHER_END = `${JSON.stringify({ at: '2026-01-01T00:00:00Z', tenant_id: 'default', no: 99_999, hash: 'f', mac: 'f' })}\n`;

/** Defines the tests of backups of one store. */
export function testBackups(makePlace: () => Promise<BackupPlace>): void {
  let place: BackupPlace;
  let server: TestServer;
  let http: HttpClient;
  let folder: string;
  beforeAll(() => {
    http = makeHttpClient();
  });
  afterAll(() => http.close());
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'castellan-backup-'));
    place = await makePlace();
    server = makeServer({ store: place.store });
    await server.start();
  });
  afterEach(async () => {
    await server.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  const envOf = (store: TestStore): Record<string, string> => (store.kind === 'postgres' ? { DATABASE_URL: store.url } : {});
  const cli = (args: readonly string[], store: TestStore = place.store): Promise<CliResult> =>
    runCliProcess(args, { cwd: folder, env: envOf(store) });
  const archive = (): string => join(folder, 'b.tar.gz');

  const backUp = async (): Promise<void> => {
    const { code, stderr } = await cli(['--data-dir', server.dataDir, 'backup', archive()]);
    expect([code, stderr]).toEqual([0, expect.stringContaining('The master key is NOT in the backup') as string]);
  };

  /** A folder for a restored server, with the master key that the backup needs. */
  const newFolder = (name: string, key: string | null = readFileSync(join(server.dataDir, 'master.key'), 'utf8')): string => {
    const dataDir = join(folder, name);
    mkdirSync(dataDir, { mode: 0o700 });
    if (key !== null) writeFileSync(join(dataDir, 'master.key'), key, { mode: 0o600 });
    return dataDir;
  };

  const restore = (dataDir: string, store: TestStore): Promise<CliResult> => cli(['--data-dir', dataDir, 'restore', archive()], store);

  const call = async (at: TestServer, key: string): Promise<number> => {
    const body = { model: 'demo-echo', messages: [{ role: 'user', content: 'hello' }], max_tokens: 8 };
    return (await http.ask(`${at.runtime}/v1/chat/completions`, { method: 'POST', headers: bearer(key), body })).status;
  };

  const makeKey = async (name: string): Promise<string> => {
    const headers = operator(server.credentials().operator_key);
    const made = await http.ask(`${server.admin}/v1/x-castellan/tenants/default/inference-keys`, {
      method: 'POST',
      headers,
      body: { name, member_id: 'admin' },
    });
    return made.json<{ key: string }>().key;
  };

  test(
    'a backup made under load is of one moment: restored, its books hold and are those of the backup, and its keys work',
    { timeout: RUN_MS * 2 },
    async () => {
      const key = await makeKey('kept');
      let isOver = false;
      let calls = 0;
      const load = Promise.all(
        Array.from({ length: 8 }, async () => {
          while (!isOver) {
            expect(await call(server, key)).toBe(200);
            calls += 1;
          }
        }),
      );
      await waitUntil(() => Promise.resolve(calls > 20));
      const callsBefore = calls;
      await backUp();
      expect(calls).toBeGreaterThan(callsBefore);
      isOver = true;
      await load;

      expect(statSync(archive()).mode & 0o777).toBe(0o600);
      expect(readdirSync(folder)).toEqual(['b.tar.gz']);
      const store = await place.another();
      const dataDir = newFolder('restored');
      // What was exported of another database says nothing about this one.
      if (store.kind === 'postgres') writeFileSync(join(dataDir, 'audit-heads.jsonl'), OTHER_END);
      const restored = await restore(dataDir, store);
      expect([restored.code, restored.stderr]).toEqual([0, expect.stringContaining('Start a server on it') as string]);
      if (store.kind === 'postgres') expect(restored.stderr).toContain('the export begins anew');
      expect(restored.stdout).toMatch(/books +the same: [\d,]+ entries, 0 discrepancies/);

      const verified = await cli(['--data-dir', dataDir, '-o', 'json', 'verify', '--offline'], store);
      const again = makeServer({ store, dataDir });
      try {
        const manifest = JSON.parse((await listed('manifest.json')) ?? '') as {
          verification: Record<string, number>;
          master_key_included: boolean;
        };
        const { discrepancies, ...figures } = JSON.parse(verified.stdout) as { discrepancies: unknown[] } & Record<string, number>;
        expect({ ...figures, discrepancies: discrepancies.length }).toEqual(manifest.verification);
        expect(manifest.master_key_included).toBe(false);
        await again.start();
        expect(await call(again, key)).toBe(200);
        // New rows are numbered behind the restored ones.
        const headers = operator(again.credentials().operator_key);
        expect((await http.ask(`${again.admin}/v1/x-castellan/tenants`, { method: 'POST', headers, body: { id: 'after' } })).status).toBe(
          201,
        );
        expect(
          (
            await http.ask(`${again.admin}/v1/x-castellan/tenants/after/money-budget`, {
              method: 'PUT',
              headers,
              body: { money_budget_usd: 1 },
            })
          ).status,
        ).toBe(200);
        await again.stop();
        expect((await again.verify()).discrepancies).toEqual([]);
        // With the ends of the trail that the restored server has exported since.
        expect(readFileSync(join(dataDir, 'audit-heads.jsonl'), 'utf8')).toContain('"tenant_id":"after","no":2,');
        expect((await cli(['--data-dir', dataDir, 'verify', '--offline'], store)).code).toBe(0);
      } finally {
        await again.dispose();
      }
    },
  );

  /** A file of the archive, by the system's own tools. */
  async function listed(name: string): Promise<string | null> {
    const { execFileSync } = await import('node:child_process');
    return execFileSync('tar', ['xzOf', archive(), name], { encoding: 'utf8', maxBuffer: 1 << 28 });
  }

  test('neither the master key nor a credential is in it', { timeout: RUN_MS }, async () => {
    const key = await makeKey('secret');
    await backUp();
    const bytes = gunzipSync(readFileSync(archive()));
    const { operator_key: operatorKey, admin_key: adminKey, demo_key: demoKey } = server.credentials();
    const master = readFileSync(join(server.dataDir, 'master.key'), 'utf8').trim();
    for (const secret of [key, operatorKey, adminKey, demoKey, master, Buffer.from(master, 'base64')])
      expect(bytes.includes(secret)).toBe(false);
  });

  test(
    'a restore without the master key, or with another, is refused with one sentence and leaves nothing',
    { timeout: RUN_MS },
    async () => {
      await backUp();
      const store = await place.another();
      const without = newFolder('without', null);
      const missing = await restore(without, store);
      expect([missing.code, missing.stderr]).toEqual([
        1,
        expect.stringMatching(
          /castellan: The master key [0-9a-f]{12} is not in the backup, and there is none here: put [^\n]+, and restore again\.\n$/,
        ) as string,
      ]);
      const wrong = newFolder('wrong', `${Buffer.alloc(32, 7).toString('base64')}\n`);
      const other = await restore(wrong, store);
      expect([other.code, other.stderr]).toEqual([
        1,
        expect.stringMatching(
          /castellan: The backup is sealed with the master key [0-9a-f]{12}, and here is [0-9a-f]{12}: [^\n]+, and restore again\.\n$/,
        ) as string,
      ]);
      expect(readdirSync(without)).toEqual([]);
      expect(readdirSync(wrong)).toEqual(['master.key']);
      // Nothing is in the way of a restore with the right one.
      copyFileSync(join(server.dataDir, 'master.key'), join(wrong, 'master.key'));
      expect((await restore(wrong, store)).code).toBe(0);
    },
  );

  test('a restore over a store that is in use is refused, and changes nothing', { timeout: RUN_MS }, async () => {
    await backUp();
    const before = await place.raw(server, 'SELECT count(*) AS n FROM ledger_entries');
    const refused = await restore(server.dataDir, place.store);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/castellan: [^\n]*(is not empty)[^\n]*nothing was changed\.\n$/);
    expect(await place.raw(server, 'SELECT count(*) AS n FROM ledger_entries')).toEqual(before);
    expect(await call(server, await makeKey('still-there'))).toBe(200);
  });

  test('a damaged or broken-off backup is refused, and leaves nothing to start on', { timeout: RUN_MS * 2 }, async () => {
    await backUp();
    const whole = readFileSync(archive());
    const bytes = gunzipSync(whole);
    const at = bytes.indexOf(place.store.kind === 'sqlite' ? 'SQLite format 3' : 'tables/') + 5000;
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    const withoutEnd = bytes.subarray(0, bytes.indexOf('checksums.json'));
    const damages = [gzipSync(changed), whole.subarray(0, Math.floor(whole.length / 2)), gzipSync(withoutEnd), Buffer.from('not a backup')];
    const store = await place.another();
    for (const [index, damage] of damages.entries()) {
      writeFileSync(archive(), damage);
      const dataDir = newFolder(`damaged-${index}`);
      const refused = await restore(dataDir, store);
      expect(refused.code).not.toBe(0);
      expect(refused.stderr).toMatch(/castellan: [^\n]+\.\n$/);
      expect(readdirSync(dataDir).filter((name) => name.startsWith('castellan.db'))).toEqual([]);
    }
    truncateSync(archive(), 0);
    expect((await restore(newFolder('empty'), store)).code).toBe(1);
    // After all of these the store is as empty as it was.
    writeFileSync(archive(), whole);
    expect((await restore(newFolder('sound'), store)).code).toBe(0);
  });

  test('a restore that is killed leaves nothing that starts, and can be done again', { timeout: RUN_MS * 2 }, async () => {
    await place.raw(server, place.fill);
    await backUp();
    const store = await place.another();
    const dataDir = newFolder('killed');
    const running = startCli(['--data-dir', dataDir, 'restore', archive()], { cwd: folder, env: envOf(store) });
    await waitUntil(() => place.isRestoring({ dataDir, store }));
    running.child.kill('SIGKILL');
    expect(await running.ended).toMatchObject({ code: null, signal: 'SIGKILL' });
    expect(existsSync(join(dataDir, 'castellan.db'))).toBe(false);

    if (store.kind === 'sqlite') {
      const started = await runCliProcess(['--data-dir', dataDir, 'start'], {
        cwd: folder,
        env: { CASTELLAN_RUNTIME_PORT: '0', CASTELLAN_ADMIN_PORT: '0' },
      });
      expect([started.code, started.stderr]).toEqual([
        78,
        expect.stringMatching(/was not finished: run castellan restore again/) as string,
      ]);
    }
    const again = await restore(dataDir, store);
    expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('the same:') as string]);
    expect(readdirSync(dataDir).filter((name) => name.includes('restoring'))).toEqual([]);
  });

  test('a backup that is killed leaves no file of its name, and the next one is not in its way', { timeout: RUN_MS }, async () => {
    await place.raw(server, place.fill);
    const running = startCli(['--data-dir', server.dataDir, 'backup', archive()], { cwd: folder, env: envOf(place.store) });
    await waitUntil(() => Promise.resolve(readdirSync(folder).some((name) => name.startsWith('b.tar.gz.partial'))));
    running.child.kill('SIGKILL');
    await running.ended;
    expect(existsSync(archive())).toBe(false);
    await backUp();
    expect(readdirSync(folder)).toEqual(['b.tar.gz']);
  });

  test('a backup never takes the place of a file', { timeout: RUN_MS }, async () => {
    writeFileSync(archive(), 'precious');
    const { code, stderr } = await cli(['--data-dir', server.dataDir, 'backup', archive()]);
    expect([code, stderr]).toEqual([1, `castellan: ${archive()} exists already: name another file, or remove it.\n`]);
    expect(readFileSync(archive(), 'utf8')).toBe('precious');
  });
}

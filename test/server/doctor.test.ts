import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeSend } from '../../src/cli/send.ts';
import { examine } from '../../src/server/doctor/doctor.ts';
import type { Finding } from '../../src/server/doctor/finding.ts';
import { cli } from '../cli/harness.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeTestFolder, type TestFolder } from './in-process.ts';

let root: string;
let folder: TestFolder;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'castellan-doctor-'));
  folder = makeTestFolder();
});
afterEach(async () => {
  await folder.dispose();
  rmSync(root, { recursive: true, force: true });
});

const look = (env: NodeJS.ProcessEnv = {}, nowMs: () => number = Date.now): Promise<Finding[]> =>
  examine({
    env: { CASTELLAN_DATA_DIR: folder.dataDir, CASTELLAN_RUNTIME_PORT: '0', CASTELLAN_ADMIN_PORT: '0', ...env },
    send: makeSend(),
    nowMs,
  });

/** What is not as it should be, as `status check: message`. */
const wrong = (findings: readonly Finding[]): string[] =>
  findings.filter(({ status }) => status !== 'ok').map(({ status, check, message }) => `${status} ${check}: ${message}`);

/** A data folder on which a server ran. */
async function used(): Promise<void> {
  await (await folder.start()).stop();
}

const database = (): string => join(folder.dataDir, 'castellan.db');
const keyFile = (): string => join(folder.dataDir, 'master.key');

test('a folder that nobody used and one that a server used have nothing wrong', async () => {
  expect(wrong(await look())).toEqual([]);
  expect(existsSync(folder.dataDir)).toBe(false);
  await used();
  const before = readdirSync(folder.dataDir);
  const findings = await look();
  expect(wrong(findings)).toEqual([]);
  expect(new Set(findings.map(({ check }) => check))).toEqual(
    new Set(['runtime', 'configuration', 'data folder', 'disk', 'ports', 'server', 'database', 'clock', 'secrets']),
  );
  // Beside what reading a database leaves.
  expect(readdirSync(folder.dataDir).filter((name) => !/-(wal|shm)$/.test(name))).toEqual(before);
});

describe('configuration', () => {
  test('every wrong variable and every defect of the file is told, and the rest is looked at', async () => {
    const file = join(root, 'castellan.yaml');
    writeFileSync(file, 'upstreams:\n  - { id: a, base_url: "nowhere" }\nmodels:\n  - { id: m, upstreams: [] }\n');
    const found = wrong(
      await look({ CASTELLAN_ADMIN_PORT: 'x', CASTELLAN_LOG_LEVEL: 'loud', CASTELLAN_DATADIR: '/x', CASTELLAN_CONFIG: file }),
    );
    expect(found).toHaveLength(5);
    expect(found.every((line) => line.startsWith('fail configuration: '))).toBe(true);
    expect(found.join('\n')).toMatch(
      /CASTELLAN_DATADIR[^]*CASTELLAN_ADMIN_PORT[^]*CASTELLAN_LOG_LEVEL[^]*castellan\.yaml:2[^]*castellan\.yaml:4/,
    );
  });

  test('a file that is not there', async () => {
    expect(wrong(await look({ CASTELLAN_CONFIG: join(root, 'none') }))).toEqual([
      expect.stringMatching(/^fail configuration: CASTELLAN_CONFIG names .*ENOENT/) as string,
    ]);
  });
});

describe('data folder', () => {
  test('others who may look into it, or read a secret', async () => {
    await used();
    chmodSync(folder.dataDir, 0o755);
    chmodSync(keyFile(), 0o644);
    expect(wrong(await look())).toEqual([
      expect.stringMatching(/^warn data folder: other users .*: chmod 700 /) as string,
      expect.stringMatching(/^fail data folder: other users .*master\.key: chmod 600 /) as string,
    ]);
  });

  test('a file in its place, and a restore that was not finished', async () => {
    writeFileSync(join(root, 'file'), '');
    expect(wrong(await look({ CASTELLAN_DATA_DIR: join(root, 'file') }))[0]).toMatch(/^fail data folder: .* is no folder: /);
    mkdirSync(join(root, 'half'), { mode: 0o700 });
    writeFileSync(join(root, 'half', 'castellan.db.restoring'), '');
    expect(wrong(await look({ CASTELLAN_DATA_DIR: join(root, 'half') }))).toEqual([
      expect.stringMatching(/^fail data folder: A restore .* was not finished: run castellan restore again/) as string,
    ]);
  });

  test('credentials that cannot be read', async () => {
    await used();
    writeFileSync(join(folder.dataDir, 'credentials.json'), '{');
    expect(wrong(await look())).toEqual([expect.stringMatching(/^fail data folder: .*credentials\.json is damaged: /) as string]);
  });

  test.runIf(process.platform === 'linux')('a file system that takes no files', async () => {
    expect(wrong(await look({ CASTELLAN_DATA_DIR: '/proc/castellan' }))[0]).toMatch(
      /^fail data folder: .*(cannot be made|cannot be written)/,
    );
  });
});

describe('ports', () => {
  let other: Server;
  let port: string;
  beforeAll(async () => {
    other = createServer((_request, response) => response.end('{"status":"UP"}'));
    await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening));
    port = String((other.address() as AddressInfo).port);
  });
  afterAll(() => void other.close());

  test('one that another program uses', async () => {
    await used();
    const found = wrong(await look({ CASTELLAN_ADMIN_PORT: port }));
    expect(found).toEqual([
      expect.stringMatching(/^fail ports: control plane 127\.0\.0\.1:\d+ is used by another program: .*CASTELLAN_ADMIN_PORT/) as string,
    ]);
    expect(wrong(await look({ CASTELLAN_RUNTIME_PORT: port }))).toEqual([
      expect.stringMatching(/^fail ports: data plane .*CASTELLAN_RUNTIME_PORT/) as string,
    ]);
  });

  test('those that the server of this folder uses are as they should be, and those of another server are not', async () => {
    const running = await folder.start();
    const ports = {
      CASTELLAN_ADMIN_PORT: String(running.listeners.admin.port),
      CASTELLAN_RUNTIME_PORT: String(running.listeners.runtime.port),
    };
    const findings = await look(ports);
    expect(wrong(findings)).toEqual([]);
    expect(findings.find(({ check }) => check === 'server')?.message).toBe('version 0.1.0 runs on this data folder');
    const elsewhere = join(root, 'elsewhere');
    cpSync(folder.dataDir, elsewhere, { recursive: true });
    writeFileSync(join(elsewhere, 'run.json'), '{"owner_id":"run_other"}\n');
    expect(wrong(await look({ ...ports, CASTELLAN_DATA_DIR: elsewhere })).map((line) => line.split(':')[0])).toEqual([
      'fail ports',
      'fail ports',
    ]);
  });

  test("an address that is not this machine's", async () => {
    expect(wrong(await look({ CASTELLAN_ADMIN_HOST: '192.0.2.1', CASTELLAN_ADMIN_PORT: '7979' }))).toEqual([
      expect.stringMatching(/^fail ports: .*EADDRNOTAVAIL/) as string,
    ]);
  });
});

describe('database and clock', () => {
  test('a clock behind the last batch', async () => {
    await used();
    const lastMs = Date.now();
    expect(wrong(await look({}, () => lastMs - 30_000))).toEqual([
      expect.stringMatching(/^warn clock: the clock is \d+ s behind the last batch/) as string,
    ]);
    expect(wrong(await look({}, () => lastMs - 86_400_000))).toEqual([expect.stringMatching(/^fail clock: /) as string]);
  });

  test('a damaged database, and one of a newer program', async () => {
    await used();
    const db = new Database(database());
    db.exec(`INSERT INTO schema_version (version, name, compatible_with) VALUES (8000, '8000-added', 1)`);
    expect(wrong(await look())).toEqual([
      expect.stringMatching(/^warn database: its schema version is 8000, .*compatible with it: finish the upgrade\.$/) as string,
    ]);
    db.exec(`INSERT INTO schema_version (version, name, compatible_with) VALUES (9000, '9000-later', 9000)`);
    db.close();
    expect(wrong(await look())).toEqual([
      expect.stringMatching(/^fail database: its schema version is 9000, .*: run the Castellan that migrated it\.$/) as string,
    ]);
    writeFileSync(database(), Buffer.alloc(statSync(database()).size, 7));
    for (const end of ['-wal', '-shm']) rmSync(database() + end, { force: true });
    expect(wrong(await look())).toEqual([
      expect.stringMatching(/^fail database: it cannot be used \(.*\): restore a backup, or mend the disk\.$/) as string,
    ]);
  });
});

describe('secrets', () => {
  test('no master key, another one, and a secret that does not open', async () => {
    await used();
    const right = readFileSync(keyFile());
    rmSync(keyFile());
    expect(wrong(await look())).toEqual([
      expect.stringMatching(/^fail secrets: there is no master key, .*: put master\.key back/) as string,
    ]);
    writeFileSync(keyFile(), `${Buffer.alloc(32, 1).toString('base64')}\n`, { mode: 0o600 });
    expect(wrong(await look())).toEqual([expect.stringMatching(/^fail secrets: The master key in master\.key is not the one/) as string]);
    writeFileSync(keyFile(), 'junk\n');
    const damaged = await look();
    expect(wrong(damaged)).toEqual([expect.stringMatching(/^fail secrets: \S+master\.key is damaged, it must hold 32 bytes/) as string]);
    // All else was looked at.
    expect(damaged.map(({ check }) => check)).toEqual(expect.arrayContaining(['database', 'clock']));
    writeFileSync(keyFile(), right);
    const db = new Database(database());
    db.exec(`UPDATE api_keys SET body = json_set(body, '$.sealed', 'AQID=') WHERE name = 'demo'`);
    db.close();
    expect(wrong(await look())).toEqual([
      expect.stringMatching(/^fail secrets: 1 of 2 do not open, the first in the key key_\w+: give that secret anew/) as string,
    ]);
  });

  test('a change of the master key that has not ended', async () => {
    await used();
    writeFileSync(`${keyFile()}.next`, `${Buffer.alloc(32, 1).toString('base64')}\n`, { mode: 0o600 });
    expect(wrong(await look())).toEqual([expect.stringMatching(/^warn secrets: a change of the master key has not ended: /) as string]);
  });

  test('a previous key of the environment that is still needed, and one that is not', async () => {
    const [old, fresh] = [Buffer.alloc(32, 1).toString('base64'), Buffer.alloc(32, 2).toString('base64')];
    await (await folder.start({ env: { CASTELLAN_MASTER_KEY: old } })).stop();
    expect(wrong(await look({ CASTELLAN_MASTER_KEY: fresh, CASTELLAN_MASTER_KEY_PREVIOUS: old }))).toEqual([
      expect.stringMatching(/^warn secrets: some are still sealed .*: run castellan rotate-master-key\.$/) as string,
    ]);
    expect(wrong(await look({ CASTELLAN_MASTER_KEY: old, CASTELLAN_MASTER_KEY_PREVIOUS: fresh }))).toEqual([
      expect.stringMatching(/^warn secrets: none needs CASTELLAN_MASTER_KEY_PREVIOUS any more/) as string,
    ]);
  });
});

test('the command prints a line for each finding, as JSON too, and ends with 3 where something fails', async () => {
  const env = { CASTELLAN_DATA_DIR: folder.dataDir, CASTELLAN_RUNTIME_PORT: '0', CASTELLAN_ADMIN_PORT: '0' };
  const sound = await cli(['doctor'], { env });
  expect(sound.code).toBe(0);
  expect(
    sound.out
      .trimEnd()
      .split('\n')
      .every((line) => /^ok {3}[a-z ]+: /.test(line)),
  ).toBe(true);
  const ill = await cli(['doctor', '-o', 'json'], { env: { ...env, CASTELLAN_LOG_LEVEL: 'loud' } });
  expect(ill.code).toBe(3);
  expect(ill.json<{ findings: Finding[] }>().findings).toContainEqual({
    check: 'configuration',
    status: 'fail',
    message: expect.stringContaining('CASTELLAN_LOG_LEVEL') as string,
  });
  expect((await cli(['doctor'], { env: { ...env, CASTELLAN_LOG_LEVEL: 'loud' }, isColoured: true })).out).toContain(
    '\u001b[31mfail\u001b[39m configuration: ',
  );
});

describePostgres('PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });
  afterAll(() => cluster.stop());

  test('a sound database, one with synchronous_commit off, and none', async () => {
    const url = await cluster.createDatabase();
    const env = { DATABASE_URL: url };
    expect(wrong(await look(env))).toEqual([]);
    await (await folder.start({ env })).stop();
    const findings = await look(env);
    expect(wrong(findings)).toEqual([]);
    expect(findings.find(({ check }) => check === 'database')?.message).toMatch(/^PostgreSQL \d+\.\d+.*, schema version \d+$/);
    await cluster.sql(`ALTER DATABASE ${new URL(url).pathname.slice(1)} SET synchronous_commit = off`);
    expect(wrong(await look(env))).toEqual([
      expect.stringMatching(/^fail database: synchronous_commit is off, .*: set it to on/) as string,
    ]);
    expect(wrong(await look({ DATABASE_URL: `${url}_none` }))).toEqual([
      expect.stringMatching(/^fail database: DATABASE_URL leads to a PostgreSQL server that refuses us: /) as string,
    ]);
    expect(wrong(await look({ DATABASE_URL: 'postgres://127.0.0.1:1/x' }))).toEqual([
      expect.stringMatching(/^fail database: it cannot be used .*ECONNREFUSED.*: check DATABASE_URL/) as string,
    ]);
    await cluster.sql('CREATE DATABASE latin ENCODING LATIN1 TEMPLATE template0');
    expect(wrong(await look({ DATABASE_URL: cluster.url('latin') }))).toEqual([
      expect.stringMatching(/^fail database: the database is in LATIN1/) as string,
    ]);
  });

  test("a clock that is another than the database's", async () => {
    const env = { DATABASE_URL: await cluster.createDatabase() };
    expect(wrong(await look(env, () => Date.now() - 10_000))).toEqual([
      expect.stringMatching(/^warn clock: this machine and the database are (9|10|11) s apart/) as string,
    ]);
  });
});

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeExportHeads } from '../../src/app/audit/export-heads.ts';
import { DEFAULT_RETENTION } from '../../src/core/retention/retention.ts';
import type { Running } from '../../src/server/boot.ts';
import { openHeadsFile, setHeadsAside, trailSecretFrom } from '../../src/server/audit-heads-file.ts';
import { findMasterKeys, KEY_SECRET_SETTING, openKeySecret } from '../../src/server/master-key.ts';
import { makeKeyRing } from '../../src/server/secrets/key-ring.ts';
import { verifyStore } from '../../src/server/verify-store.ts';
import { runCliProcess } from '../support/cli-process.ts';
import { makeManualClock } from '../support/fakes.ts';
import { makeHttpClient, operator, type HttpClient } from '../support/http-client.ts';
import { makeTestFolder, recordingLog, type TestFolder } from './in-process.ts';

interface HeadLine {
  readonly at: string;
  readonly tenant_id: string;
  readonly no: number;
  readonly hash: string;
  readonly mac: string;
}

const NO_KEYS = { masterKey: null, previousMasterKey: null };

let http: HttpClient;
let folder: TestFolder;
let log: ReturnType<typeof recordingLog>;
beforeAll(() => {
  http = makeHttpClient();
});
afterAll(() => http.close());
beforeEach(() => {
  folder = makeTestFolder();
  log = recordingLog();
});
afterEach(() => folder.dispose());

const start = (): Promise<Running> => folder.start({ overrides: { log } });
const ask = (running: Running, method: string, path: string, body?: object) =>
  http.ask(`${running.listeners.admin.origin}/v1/x-castellan${path}`, {
    method,
    headers: operator(running.prepared.credentials.operator_key),
    ...(body === undefined ? {} : { body }),
  });
/** Leaves rows in the trails of tenants: one each, in this order. */
async function write(running: Running, ...tenants: string[]): Promise<void> {
  for (const id of tenants) await ask(running, 'POST', '/tenants', { id });
}
/** Runs a server that leaves rows, and stops it. */
async function serve(...tenants: string[]): Promise<void> {
  const running = await start();
  await write(running, ...tenants);
  await running.stop();
}

const file = (): string => join(folder.dataDir, 'audit-heads.jsonl');
const text = (): string => readFileSync(file(), 'utf8');
const lines = (): HeadLine[] =>
  text()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as HeadLine);
const endOf = (tenantId: string): HeadLine | undefined => lines().findLast((line) => line.tenant_id === tenantId);

const offline = async (): Promise<string[]> =>
  (await verifyStore({ dataDir: folder.dataDir, databaseUrl: null })).discrepancies.map(({ check }) => check);
const served = async (running: Running): Promise<string[]> => {
  const { discrepancies } = (await ask(running, 'POST', '/verify')).json<{ discrepancies: { check: string }[] }>();
  return discrepancies.map(({ check }) => check);
};

function tamper(...statements: string[]): void {
  const db = new Database(join(folder.dataDir, 'castellan.db'));
  try {
    for (const sql of statements) db.exec(sql);
  } finally {
    db.close();
  }
}
/** Cuts the end of a trail off, and makes the heads fit. */
const CUT = [
  `DELETE FROM audit WHERE tenant_id = 'acme' AND no > 1`,
  `UPDATE audit_heads SET no = 1, hash = (SELECT hash FROM audit WHERE tenant_id = 'acme' AND no = 1) WHERE tenant_id = 'acme'`,
];

/** The secret that a server of the folder signs with, opened with whichever master key lies there. */
function trailSecret(): Promise<string> {
  return folder.withStore(async (store) => {
    const setting = await store.record('setting', KEY_SECRET_SETTING);
    const [first, ...others] = findMasterKeys(folder.dataDir, NO_KEYS).keys;
    if (setting === undefined || first === undefined) throw new Error('the folder has no secret yet');
    return trailSecretFrom(openKeySecret({ setting, secretBox: makeKeyRing([first, ...others]), from: 'here' }));
  });
}

describe('the ends of the trail', () => {
  test('are in a file of the data folder after a stop, and in the log, each line signed', async () => {
    await serve('acme', 'acme', 'other');
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect([endOf('acme')?.no, endOf('other')?.no]).toEqual([2, 1]);
    for (const line of lines()) expect(line).toMatchObject({ hash: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    for (const { mac } of lines()) expect(mac).toMatch(/^[0-9a-f]{64}$/);
    const told = log.lines.filter(({ message }) => message === 'ends of the audit trail are exported').at(-1);
    expect(told?.fields['ends']).toContainEqual({ tenantId: 'acme', no: 2, hash: endOf('acme')?.hash });
    expect(await offline()).toEqual([]);
    // Every run adds to them, and what was there stays as it was.
    const before = text();
    await serve('acme');
    expect(text().startsWith(before)).toBe(true);
    expect(endOf('acme')?.no).toBe(3);
  });

  test('show a trail that was cut and whose heads were made to fit: to the server, to the command, and ever after', async () => {
    await serve('acme', 'acme', 'acme');
    tamper(...CUT);
    expect(await offline()).toEqual(['audit: a chain reaches as far as it was exported']);

    const command = await runCliProcess(['--data-dir', folder.dataDir, '-o', 'json', 'verify', '--offline']);
    expect(command.code).toBe(3);
    expect(JSON.parse(command.stdout)).toMatchObject({
      discrepancies: [{ check: 'audit: a chain reaches as far as it was exported', subject: 'acme', found: '1', expected: '3' }],
    });

    const running = await start();
    expect(await served(running)).toEqual(['audit: a chain reaches as far as it was exported']);
    await write(running, 'acme');
    await running.stop();
    expect(log.lines.some(({ message }) => message.startsWith('the audit trail is not the one that was exported'))).toBe(true);
    // Grown past where it was cut, it has another hash there.
    await serve('acme', 'acme', 'acme');
    expect(await offline()).toEqual(['audit: a chain is as it was exported']);
  });

  test('show a trail that is gone with its heads', async () => {
    await serve('acme');
    tamper(`DELETE FROM audit`, `DELETE FROM audit_heads`);
    expect(new Set(await offline())).toEqual(new Set(['audit: a chain reaches as far as it was exported']));
  });

  test('cannot be rewritten in the file either without the server’s secret', async () => {
    await serve('acme', 'acme', 'acme');
    tamper(...CUT);
    const kept = lines().map((line) => (line.tenant_id === 'acme' ? { ...line, no: 1 } : line));
    writeFileSync(file(), kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
    expect(await offline()).toEqual(['audit: a line of the export is as it was written']);
  });

  test('are read past a line that a crash broke off, and the next line begins anew', async () => {
    await serve('acme');
    writeFileSync(file(), text().slice(0, -20));
    expect(await offline()).toEqual([]);
    await serve('acme');
    expect(
      text()
        .split('\n')
        .filter((line) => line.startsWith('{') && line.includes('"tenant_id":"acme","no":2,')),
    ).toHaveLength(1);
    expect(text()).not.toMatch(/[^\n]\{"at"/);
    expect(await offline()).toEqual([]);
  });
});

describe('a file of ends that has grown long', () => {
  /** Exports as a server does, but leaves lines out above `foldAbove`. */
  const exportNow = async (foldAbove: number): Promise<void> => {
    const secret = await trailSecret();
    await folder.withStore((store) =>
      makeExportHeads({
        store,
        file: openHeadsFile(folder.dataDir, secret),
        barrier: () => Promise.resolve(),
        clock: makeManualClock(Date.UTC(2030, 0, 1)),
        log,
        foldAbove,
      })(),
    );
  };
  /** A new row, and no export of it. */
  const grow = (): Promise<void> =>
    folder.withStore(async (store) => {
      const audit = {
        id: 'aud_late',
        operation: 'o',
        actorKind: 'operator',
        actorId: 'o',
        resourceKind: '',
        resourceId: '',
        requestId: 'r',
      } as const;
      await store.execute(
        'late',
        [{ verb: 'note-refusals', id: 'late', tenantId: 'acme', entries: [{ ...audit, code: null, metadata: {} }] }],
        0,
      );
    });

  test('is written anew without what a newer line of the same chain vouches for', async () => {
    await serve('acme');
    for (let n = 0; n < 2; n++) {
      await grow();
      await exportNow(100);
    }
    expect(
      lines()
        .filter((line) => line.tenant_id === 'acme')
        .map(({ no }) => no),
    ).toEqual([1, 2, 3]);
    await grow();
    await exportNow(1);
    expect(
      lines()
        .filter((line) => line.tenant_id === 'acme')
        .map(({ no }) => no),
    ).toEqual([4]);
    expect(
      lines()
        .map((line) => line.tenant_id)
        .toSorted(),
    ).toEqual([...new Set(lines().map((line) => line.tenant_id))].toSorted());
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(await offline()).toEqual([]);
  });

  test('keeps what is not the trail any more, so that it shows ever after', async () => {
    await serve('acme', 'acme', 'acme');
    tamper(...CUT);
    for (let n = 0; n < 4; n++) await grow();
    await exportNow(0);
    expect(log.lines.some(({ message }) => message.startsWith('the audit trail is not the one that was exported'))).toBe(true);
    expect(
      lines()
        .filter((line) => line.tenant_id === 'acme')
        .map(({ no }) => no),
    ).toEqual([3, 5]);
    expect(await offline()).toEqual(['audit: a chain is as it was exported']);
  });
});

test('the script of the manual finds the same without this program', { timeout: 60_000 }, async () => {
  const manual = readFileSync(join(import.meta.dirname, '../../docs/audit.md'), 'utf8');
  const script = join(folder.dataDir, '..', 'verify-trail.mjs');
  writeFileSync(script, /```js\n(.*?)```/s.exec(manual)?.[1] ?? '');
  const outside = (): string =>
    spawnSync(process.execPath, [script, join(folder.dataDir, 'castellan.db'), file()], { encoding: 'utf8' }).stdout.trim();
  await serve('acme', 'acme', 'acme');
  expect(outside()).toBe('the trail holds');
  tamper(`UPDATE audit SET operation = 'other' WHERE tenant_id = 'acme' AND no = 2`);
  expect(outside()).toBe('acme 2: is not as it was written');
  tamper(`DELETE FROM audit WHERE tenant_id = 'acme' AND no = 2`);
  expect(outside()).toBe('acme 3: does not follow the row before');
  tamper(...CUT);
  expect(outside()).toBe('acme 3: was exported, and is not there');
});

describe('what the server signed', () => {
  test('holds after the master key was changed, and after a cut by retention before and after that', async () => {
    await serve('acme', 'acme', 'other');
    const pruneAll = async (): Promise<void> => {
      const secret = await trailSecret();
      await folder.withStore((store) => store.prune({ ...DEFAULT_RETENTION, auditMs: -1000 }, () => false, secret));
    };
    await pruneAll();
    expect(await offline()).toEqual([]);
    const before = await trailSecret();
    const running = await start();
    expect((await ask(running, 'POST', '/rotate-master-key')).status).toBe(200);
    await write(running, 'acme');
    expect(await served(running)).toEqual([]);
    await running.stop();
    expect(await trailSecret()).toBe(before);
    await pruneAll();
    expect(await offline()).toEqual([]);
    tamper(`UPDATE audit_heads SET pruned_mac = NULL WHERE tenant_id = 'acme'`);
    expect(await offline()).toEqual(['audit: where a chain was cut is signed']);
  });
});

test('a file of ends that is of another time is set aside by a restore, but not where a server writes to it', async () => {
  const nowMs = Date.UTC(2026, 3, 9, 1, 2, 3);
  await serve('acme');
  const running = await start();
  expect(setHeadsAside(folder.dataDir, nowMs)).toBeNull();
  await running.stop();
  const before = text();
  expect(setHeadsAside(folder.dataDir, nowMs)).toBe('audit-heads.until-20260409T010203000Z.jsonl');
  expect(existsSync(file())).toBe(false);
  expect(readFileSync(join(folder.dataDir, 'audit-heads.until-20260409T010203000Z.jsonl'), 'utf8')).toBe(before);
  expect(setHeadsAside(folder.dataDir, nowMs)).toBeNull();
});

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Fault } from '../../src/core/fault.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { withDatabase } from './sqlite-store.ts';
import { makeTestClock } from './test-store.ts';

type Store = Awaited<ReturnType<typeof openSqliteStore>>;

/** A module whose failpoints run `body` with the name of the point as `point`. */
const failpointsModule = (body: string): string =>
  `data:text/javascript,${encodeURIComponent(`import { appendFileSync } from 'node:fs'; export const failpoints = { hit: (point) => { ${body} } };`)}`;

describe('an SQLite store, its files and its threads', () => {
  let dataDir: string;
  let commands: CommandMaker;
  const opened: Store[] = [];

  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'castellan-threads-'));
    commands = makeCommands();
  });
  afterEach(async () => {
    for (const store of opened.splice(0)) await store.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const open = async (options: { failpointsModule?: string; startMs?: number } = {}): Promise<Store> => {
    const { startMs, ...rest } = options;
    const store = await openSqliteStore({ dataDir, clock: makeTestClock(startMs), ...rest });
    opened.push(store);
    return store;
  };
  const spentOf = async (store: Store): Promise<bigint | null | undefined> =>
    (await store.accounts([moneyOf('acme')])).get(moneyOf('acme'))?.allocated;

  test('a data folder that is open already is refused in one sentence that says what to do', async () => {
    await open();
    const second = openSqliteStore({ dataDir, clock: makeTestClock() });
    await expect(second).rejects.toThrow(/^Another Castellan is running on the data folder [^:]+: [^:.]+\(CASTELLAN_DATA_DIR\)\.$/);
    await expect(second).rejects.toMatchObject({ name: 'StoreRefusal', message: expect.stringContaining(dataDir) as string });
  });

  test('a process that is killed leaves no lock behind', async () => {
    const module = new URL('../../src/stores/sqlite/open-sqlite-store.ts', import.meta.url).href;
    const options = `{ dataDir: ${JSON.stringify(dataDir)}, clock: { nowMs: () => 1 } }`;
    const script = `import(${JSON.stringify(module)}).then(({ openSqliteStore }) => openSqliteStore(${options})).then(() => console.log('open'))`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    await expect(openSqliteStore({ dataDir, clock: makeTestClock() })).rejects.toThrow(/Another Castellan/);
    child.kill('SIGKILL');
    await exited;
    const store = await open();
    expect((await store.execute('b', [commands.createTenant('acme')], 0)).outcomes).toMatchObject([{ ok: true }]);
  });

  test('time does not go back over a restart with an earlier clock', async () => {
    const startMs = Date.parse('2026-11-22T10:00:00Z');
    const first = await open({ startMs });
    await first.execute('b', [commands.allocate(moneyOf('acme'), 1n)], 0);
    await opened.pop()?.close();
    const second = await open({ startMs: startMs - 3_600_000 });
    const { nowMs } = await second.execute('b', [commands.allocate(moneyOf('acme'), 2n)], 0);
    expect(nowMs).toBe(startMs);
  });

  test('every file is closed and the log written back when the store is closed', async () => {
    const store = await open();
    await store.execute('b', [commands.createTenant('acme')], 0);
    await opened.pop()?.close();
    expect((await readdir(dataDir)).toSorted()).toEqual(['castellan.db', 'castellan.lock']);
    expect(withDatabase(dataDir, (db) => db.pragma('journal_mode', { simple: true }))).toBe('wal');
    expect(withDatabase(dataDir, (db) => db.prepare('SELECT count(*) FROM tenants').pluck().get())).toBe(1);
  });

  test('a batch passes its failpoints in order, one without effects stops before the writing', async () => {
    const trace = join(dataDir, 'trace');
    const store = await open({ failpointsModule: failpointsModule(`appendFileSync(${JSON.stringify(trace)}, point + '\\n')`) });
    expect(await readFile(trace, 'utf8')).toMatch(/^(migrate\.step\n)+$/);
    await writeFile(trace, '');
    await store.execute('b', [commands.createTenant('acme')], 0);
    await store.execute('b', [commands.createTenant('acme')], 0);
    // Its answer comes after all points of the batches before it.
    expect(await store.foldUsage(1)).toBe(0);
    const passed = (await readFile(trace, 'utf8')).trim().split('\n');
    expect(passed).toEqual([
      'batch.loaded',
      'batch.decided',
      'batch.written',
      'batch.committed',
      'batch.answered',
      'batch.loaded',
      'batch.decided',
      'batch.answered',
    ]);
  });

  test.each(['batch.loaded', 'batch.decided', 'batch.written'])(
    'a failure at %s undoes the batch, and the next one works',
    async (point) => {
      const armed = join(dataDir, 'armed');
      const body = `if (point === '${point}') { const fs = process.getBuiltinModule('fs'); if (fs.existsSync(${JSON.stringify(armed)})) { fs.rmSync(${JSON.stringify(armed)}); throw new Error('torn'); } }`;
      const store = await open({ failpointsModule: failpointsModule(body) });
      await store.execute('b', [commands.allocate(moneyOf('acme'), 10n)], 0);
      await writeFile(armed, '');
      await expect(store.execute('b', [commands.allocate(moneyOf('acme'), 99n), commands.createTenant('acme')], 0)).rejects.toThrow('torn');
      expect(await spentOf(store)).toBe(10n);
      expect(await store.record('tenant', 'acme')).toBeUndefined();
      await store.execute('b', [commands.allocate(moneyOf('acme'), 20n), commands.createTenant('acme')], 0);
      expect(await spentOf(store)).toBe(20n);
      expect((await store.verify()).discrepancies).toEqual([]);
    },
  );

  test('a writer that dies takes what is pending with it as unavailable, and a restart finds what was committed', async () => {
    const body = `if (point === 'batch.written' && process.getBuiltinModule('fs').existsSync(${JSON.stringify(join(dataDir, 'armed'))})) process.exit(3);`;
    const store = await open({ failpointsModule: failpointsModule(body) });
    await store.execute('b', [commands.allocate(moneyOf('acme'), 10n)], 0);
    await writeFile(join(dataDir, 'armed'), '');
    const pending = [20n, 30n].map((amount) =>
      store.execute('b', [commands.allocate(moneyOf('acme'), amount)], 0).catch((error: unknown) => error),
    );
    for (const error of await Promise.all(pending)) {
      expect(error).toBeInstanceOf(Fault);
      expect(error).toMatchObject({ code: 'store_unavailable' });
    }
    await expect(store.execute('b', [commands.allocate(moneyOf('acme'), 40n)], 0)).rejects.toMatchObject({ code: 'store_unavailable' });
    expect(await spentOf(store)).toBe(10n);
    await opened.pop()?.close();
    const again = await open();
    expect(await spentOf(again)).toBe(10n);
  });

  test('a fault names no path to its caller', async () => {
    const store = await open({ failpointsModule: failpointsModule(`if (point === 'batch.loaded') process.exit(1);`) });
    const error: unknown = await store.execute('b', [commands.createTenant('acme')], 0).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ publicMessage: 'The store is unavailable at the moment.', retryAfterMs: 1000 });
  });
});

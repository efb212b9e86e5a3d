import Database from 'better-sqlite3';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { DEFAULT_RETENTION } from '../../src/core/retention/retention.ts';
import type { Command } from '../../src/core/verbs.ts';
import { openPostgresStore } from '../../src/stores/postgres/open-postgres-store.ts';
import { DATABASE_FILE } from '../../src/stores/sqlite/connection.ts';
import { makeLedgerFolder } from '../../src/stores/sqlite/fold-ledger.ts';
import { makeVerifier } from '../../src/stores/sqlite/verify.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeCommands, moneyOf } from './commands.ts';
import { makeSqliteStore } from './sqlite-store.ts';
import { makeTestClock, type TestStore } from './test-store.ts';

const DAY_MS = 86_400_000;
const START_MS = makeTestClock().nowMs();

/** Calls, one after another, a minute apart; each is held before the one before it is settled, so that their lines lie between each other. */
async function interleavedCalls(
  execute: (...batch: Command[]) => Promise<void>,
  setClock: (ms: number) => void,
  calls: number,
): Promise<void> {
  const commands = makeCommands();
  await execute(commands.createTenant('acme'), commands.createKey('acme', 'key_1'), commands.allocate(moneyOf('acme'), 9_000_000n));
  let before = commands.hold({});
  await execute(before);
  for (let index = 1; index < calls; index += 1) {
    setClock(START_MS + index * 60_000);
    const next = commands.hold({ tokens: BigInt(index), microcents: BigInt(index) });
    await execute(next, commands.settle(before, { promptTokens: index, completionTokens: 1, microcents: BigInt(index) }));
    before = next;
  }
  await execute(commands.cancel(before));
}

describe('SQLite: a pass of folding, a few rows at a time', () => {
  let at: TestStore;
  let folder: string;
  let db: Database.Database;
  const clock = makeTestClock();

  beforeEach(async () => {
    clock.set(START_MS);
    at = await makeSqliteStore({ clock });
    let batch = 0;
    const execute = async (...commands: Command[]): Promise<void> => void (await at.store.execute(`batch_${(batch += 1)}`, commands, 0));
    await interleavedCalls(execute, (ms) => clock.set(ms), 20);
    while ((await at.store.foldUsage(100)) > 0);
    folder = String((await at.raw('PRAGMA database_list'))[0]?.['file']);
    expect(folder.endsWith(DATABASE_FILE)).toBe(true);
    db = new Database(folder);
  });
  afterEach(async () => {
    db.close();
    await at.destroy();
  });

  test.each([1, 3, 7])('verification holds after each step of %i rows, and a pass that was broken off goes on', async (limit) => {
    // The middle of the calls: some reservations straddle the cut.
    const cutoffMs = START_MS + 10 * 60_000 + 1;
    const verify = makeVerifier(db);
    expect(verify().discrepancies).toEqual([]);
    let [removed, steps] = [0, 0];
    for (let isDone = false; !isDone; steps += 1) {
      // A folder of its own for each step: nothing but what is stored leads from one to the next.
      const step = db.transaction(() => makeLedgerFolder(db)(cutoffMs, limit)).immediate();
      removed += step.removed;
      isDone = step.isDone;
      expect(verify().discrepancies, `after step ${steps}`).toEqual([]);
    }
    // Ten calls were settled before the cut, each with four lines and a reservation, beside the line that allocated.
    expect([removed, steps > 20 / limit]).toEqual([10 * 5 + 1, true]);
    expect(db.prepare('SELECT count(*) FROM reservations').pluck().get()).toBe(10);
    expect(db.transaction(() => makeLedgerFolder(db)(cutoffMs, limit)).immediate()).toEqual({ removed: 0, isDone: true });
  });

  test('the newest line stays even where all is old, so that the numbers go on', async () => {
    while (!db.transaction(() => makeLedgerFolder(db)(START_MS + DAY_MS, 50)).immediate().isDone);
    const last = db.prepare<[], number>('SELECT max(seq) FROM ledger_entries').pluck().get();
    expect(last).toBeGreaterThan(40);
    await at.store.execute('batch_after', [makeCommands(5000).allocate(moneyOf('acme'), 5n)], 0);
    expect(db.prepare('SELECT max(seq) FROM ledger_entries').pluck().get()).toBe((last ?? 0) + 1);
    expect((await at.store.verify()).discrepancies).toEqual([]);
  });
});

describePostgres('PostgreSQL: a pass of folding', () => {
  let cluster: PostgresCluster;
  let url: string;
  let nowMs: number;
  const clock = { nowMs: () => nowMs };

  beforeAll(async () => {
    cluster = await startPostgresCluster({ fsync: false });
  });
  afterAll(() => cluster.stop());
  beforeEach(async () => {
    url = await cluster.createDatabase();
    nowMs = START_MS;
  });

  const open = () => openPostgresStore({ url, clock, timeouts: { lockMs: 300 } });
  const populate = async (calls: number): Promise<void> => {
    const store = await open();
    let batch = 0;
    const execute = async (...commands: Command[]): Promise<void> => void (await store.execute(`batch_${(batch += 1)}`, commands, 0));
    await interleavedCalls(execute, (ms) => (nowMs = ms), calls);
    while ((await store.foldUsage(1000)) > 0);
    await store.close();
    nowMs = START_MS + 200 * DAY_MS;
  };
  const remaining = async (): Promise<number[]> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query<{ lines: string; reservations: string }>(
      'SELECT (SELECT count(*) FROM ledger_entries) AS lines, (SELECT count(*) FROM reservations) AS reservations',
    );
    await client.end();
    return [Number(rows[0]?.lines), Number(rows[0]?.reservations)];
  };

  test('of several nodes that prune at once each row is taken by one, and all of them agree', async () => {
    await populate(300);
    const nodes = await Promise.all([open(), open(), open()]);
    const removed = await Promise.all(nodes.map((node) => node.prune(DEFAULT_RETENTION)));
    // A node that found the work in another's hands goes on when its time comes again.
    removed.push(await nodes[0].prune(DEFAULT_RETENTION));
    expect(await remaining()).toEqual([0, 0]);
    const [usageEvents, rollups] = [299, removed.reduce((sum, count) => sum + count, 0) - 299 - (300 * 5 + 1)];
    expect(usageEvents).toBe(299);
    // Fine buckets and the ids of batches go as well; the journal's 4 lines and reservation of each call, and the allocation, once each.
    expect(rollups).toBeGreaterThan(0);
    expect((await nodes[1].verify()).discrepancies).toEqual([]);
    await Promise.all(nodes.map((node) => node.close()));
  });

  test('verification holds while lines are gone and their reservations are not, and the pass goes on where it was', async () => {
    await populate(20);
    const store = await open();
    const holder = new pg.Client({ connectionString: url });
    await holder.connect();
    await holder.query('BEGIN; SELECT 1 FROM reservations ORDER BY id LIMIT 1 FOR UPDATE');
    await expect(store.prune(DEFAULT_RETENTION)).rejects.toThrow('lock');
    expect(await remaining()).toEqual([0, 20]);
    expect((await store.verify()).discrepancies).toEqual([]);
    await holder.query('ROLLBACK');
    await holder.end();
    await store.prune(DEFAULT_RETENTION);
    expect(await remaining()).toEqual([0, 0]);
    expect((await store.verify()).discrepancies).toEqual([]);
    await store.close();
  });
});

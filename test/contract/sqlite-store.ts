import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Clock } from '../../src/ports/clock.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { makeTestClock, type MakeStore, type RawRow, type TestStore } from './test-store.ts';

/** Runs `work` on a connection of its own to the database of a data folder. */
export function withDatabase<T>(dataDir: string, work: (db: Database.Database) => T): T {
  const db = new Database(join(dataDir, 'castellan.db'));
  try {
    return work(db);
  } finally {
    db.close();
  }
}

async function openAt(dataDir: string, clock: Clock): Promise<TestStore> {
  const store = await openSqliteStore({ dataDir, clock });
  return {
    store,
    raw: async (sql) =>
      withDatabase(dataDir, (db) => {
        const statement = db.prepare<[], RawRow>(sql);
        if (statement.reader) return statement.safeIntegers().all();
        statement.run();
        return [];
      }),
    unlockJournal: async () => {
      withDatabase(dataDir, (db) => db.exec('DROP TRIGGER ledger_entries_no_update; DROP TRIGGER ledger_entries_no_delete'));
    },
    unlockStatements: async () => {
      const triggers = ['statements_stand', 'statements_stay', 'statement_lines_stand', 'statement_lines_stay'];
      withDatabase(dataDir, (db) => db.exec(triggers.map((name) => `DROP TRIGGER ${name};`).join('')));
    },
    reopen: async (options) => {
      await store.close();
      return openAt(dataDir, options?.clock ?? clock);
    },
    destroy: async () => {
      await store.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

const newFolder = (): Promise<string> => mkdtemp(join(tmpdir(), 'castellan-store-'));

/** A database with its schema and nothing in it, made at the first use of it: a copy of it opens in a fraction of the time. */
let empty: Promise<Buffer> | null = null;

async function makeEmpty(): Promise<Buffer> {
  const dataDir = await newFolder();
  await (await openSqliteStore({ dataDir, clock: makeTestClock() })).close();
  const bytes = await readFile(join(dataDir, 'castellan.db'));
  await rm(dataDir, { recursive: true });
  return bytes;
}

/** Makes SQLite stores in temporary folders. */
export const makeSqliteStore: MakeStore = async ({ clock }) => {
  const dataDir = await newFolder();
  await writeFile(join(dataDir, 'castellan.db'), await (empty ??= makeEmpty()), { mode: 0o600 });
  return openAt(dataDir, clock);
};

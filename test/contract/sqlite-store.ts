import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Clock } from '../../src/ports/clock.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import type { MakeStore, RawRow, TestStore } from './test-store.ts';

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

/** Makes SQLite stores in temporary folders. */
export const makeSqliteStore: MakeStore = async ({ clock }) => openAt(await mkdtemp(join(tmpdir(), 'castellan-store-')), clock);

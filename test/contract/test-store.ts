import type { Clock } from '../../src/ports/clock.ts';
import type { LedgerStore } from '../../src/ports/ledger-store.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';
import type { WebhookStore } from '../../src/ports/webhook-store.ts';

/** A row as SQL gives it; drivers differ in how they show integers. */
export type RawRow = Readonly<Record<string, unknown>>;

/** A store under test with a way around it: what a store promises of its rows is checked in the rows. */
export interface TestStore {
  readonly store: LedgerStore & RecordStore & WebhookStore;
  /** Runs one SQL statement on the same database over another connection; gives the rows of a SELECT. Rejects as the database does. */
  raw(sql: string): Promise<RawRow[]>;
  /** Takes away what keeps the journal append-only, so that a test can damage it. */
  unlockJournal(): Promise<void>;
  /** The same for what keeps issued statements as they are. */
  unlockStatements(): Promise<void>;
  /** Closes the store and opens a new one on the same data. The old one must not be used any more. */
  reopen(options?: { clock?: Clock }): Promise<TestStore>;
  /** Closes the store and throws its data away. */
  destroy(): Promise<void>;
}

/** Makes a store on new, empty data. */
export type MakeStore = (options: { clock: Clock }) => Promise<TestStore>;

/** A clock that stands still until it is set. */
export interface TestClock extends Clock {
  set(nowMs: number): void;
}

/** Starts at a fixed moment: 2026-11-22T10:07:03Z. */
export function makeTestClock(startMs: number = Date.parse('2026-11-22T10:07:03Z')): TestClock {
  let currentMs = startMs;
  return {
    nowMs: () => currentMs,
    set: (nowMs) => {
      currentMs = nowMs;
    },
  };
}

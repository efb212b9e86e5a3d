import type { Outcome } from '../core/rejection.ts';
import type { Retention } from '../core/retention/retention.ts';
import type { RecordRef } from '../core/records.ts';
import type { Command } from '../core/verbs.ts';
import type { TrailWitness } from './audit-trail.ts';
import type { Discrepancy } from './discrepancy.ts';

/** What one batch came to: an outcome for each command in order, the batch's time, and the records that it changed. */
export interface BatchResult {
  readonly outcomes: readonly Outcome<unknown>[];
  readonly nowMs: number;
  readonly changedRecords: readonly RecordRef[];
}

/** What a verification read and found. The ledger holds where `discrepancies` is empty. */
export interface Verification {
  readonly accounts: number;
  readonly entries: number;
  readonly reservations: number;
  readonly discrepancies: readonly Discrepancy[];
}

/** The mutating side of a store. Every change of the program goes through {@link LedgerStore.execute}. */
export interface LedgerStore {
  /** How many batches may be under way at once; commands of one tenant always take the same lane. */
  readonly lanes: number;
  /**
   * Loads and locks what `commands` name, decides them in order, writes every effect and makes all of it durable in one transaction.
   * Resolves only then. A batch without effects is not written.
   *
   * `batchId` is new for each attempt series: a lost answer to COMMIT is resolved by it (found: it happened).
   * Throws a `Fault` (`store_unavailable`) where nothing happened, or where the store could not learn whether. Throws anything else (what
   * a decision threw, a row that the database refused) only where it is certain that nothing happened and nothing will: the caller may
   * then run the commands again, under a new id. `batch.*` failpoints lie between its steps.
   *
   * `onWritten` asks for the result once the end of this process cannot undo it any more, while the loss of the machine's power could:
   * called at most once, before the promise resolves, and the lane takes its next batch from then on. A store that writes and flushes in
   * one step never calls it.
   */
  execute(batchId: string, commands: readonly Command[], lane: number, onWritten?: (result: BatchResult) => void): Promise<BatchResult>;
  /** Folds the usage events that are not yet in the rollups, at most `limit` of them; returns how many it folded. */
  foldUsage(limit: number): Promise<number>;
  /**
   * Forgets what `retention` (the defaults where nothing is given) no longer keeps, usage reports and rollups past their time, in small
   * transactions, by the store's own time: no caller's fast clock destroys what all rely on. An embedded store goes by its last batch's
   * time where its clock is ahead of that. Returns how many rows went.
   *
   * Old lines of the journal are folded into checkpoints before the reservations that they tell of go, so that {@link LedgerStore.verify}
   * still accounts for every amount. Where several nodes share the store, one folds at a time; for the others nothing is left to do.
   * `isStopping` is asked between two of the transactions: where it says so, the rest is left for the next time. Where a chain of the audit
   * trail is cut is signed under `trailSecret`, or by nobody where none is given.
   */
  prune(retention?: Retention, isStopping?: () => boolean, trailSecret?: string): Promise<number>;
  /**
   * Recomputes every account and every reservation's state from the journal, in SQL that shares no code with the writer, and walks the audit
   * trail along its chains; `witness` is what is known of these outside of the store.
   */
  verify(witness?: TrailWitness): Promise<Verification>;
  /** Finishes what is under way and closes every connection. */
  close(): Promise<void>;
}

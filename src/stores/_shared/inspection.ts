import type { Verification } from '../../ports/ledger-store.ts';
import type { RecordStore } from '../../ports/record-store.ts';

/**
 * A store that is only looked at: it changes nothing, migrates nothing and takes no lock, so that a server may run on it meanwhile. Beyond
 * the two versions it can be read only where they are equal.
 */
export interface StoreInspection {
  /** Version of the database's schema; 0 where there is none yet. */
  readonly schemaVersion: number;
  /** The version that this program works with. */
  readonly newestVersion: number;
  readonly records: Pick<RecordStore, 'record' | 'records' | 'keys'>;
  /** The time of the last batch that is known; null where there was none. */
  lastBatchMs(): Promise<number | null>;
  verify(): Promise<Verification>;
  close(): Promise<void>;
}

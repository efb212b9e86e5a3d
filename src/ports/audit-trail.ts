import type { Discrepancy } from './discrepancy.ts';

/** Where the chain of a tenant's audit trail ended at some moment: the place of its last row, from 1, and that row's hash in hex. */
export interface ChainEnd {
  readonly tenantId: string;
  readonly no: number;
  readonly hash: string;
}

/**
 * What became of the place where a chain ended once: the row with that hash still stands there, or it was forgotten by age since, or neither,
 * and somebody wrote to the store past the program.
 */
export type PlaceState = 'stands' | 'forgotten' | 'differs';

/** What is known of the audit trail outside of the store, so that somebody who may write to the store cannot change both. */
export interface TrailWitness {
  /** Ends of chains that were exported, in any order; a tenant may have many. */
  readonly exported: readonly ChainEnd[];
  /** What is wrong with the export itself. */
  readonly discrepancies: readonly Discrepancy[];
  /** The secret under which the store signs where it cut a chain; null where it is not at hand, and nothing is said of signatures. */
  readonly secret: string | null;
}

/** Where ends of chains are kept outside of the store. */
export interface TrailExport {
  /** What was exported so far; what is wrong with it is among its discrepancies. Rejects where it cannot be read. */
  read(): Promise<Omit<TrailWitness, 'secret'>>;
  /** Adds ends of chains as they were at `atMs`, durably; returns the SHA-256 of what it added, in hex. */
  append(ends: readonly ChainEnd[], atMs: number): Promise<string>;
  /**
   * Leaves ends out that newer ones of their chains vouch for: `mayGo` is asked which of the older ones may go, in their order. What this
   * server did not write stays. Where something was added meanwhile nothing happens.
   */
  fold(mayGo: (older: readonly ChainEnd[]) => Promise<readonly boolean[]>): Promise<void>;
}

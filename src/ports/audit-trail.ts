import type { Discrepancy } from './discrepancy.ts';

/** Where the chain of a tenant's audit trail ended at some moment: the place of its last row, from 1, and that row's hash in hex. */
export interface ChainEnd {
  readonly tenantId: string;
  readonly no: number;
  readonly hash: string;
}

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
}

import type { LedgerStore, Verification } from '../ports/ledger-store.ts';

/** Proves the books: reads all of them and tells every contradiction. One at a time; who asks meanwhile is given the same answer. */
export type VerifyLedger = () => Promise<Verification>;

/**
 * Makes a {@link VerifyLedger}. It reads one snapshot and holds no writer up, but it reads every row: a second run beside the first
 * would only make both slower. Throws what the store throws (`store_unavailable`).
 */
export function makeVerifyLedger(store: Pick<LedgerStore, 'verify'>): VerifyLedger {
  let running: Promise<Verification> | null = null;
  return () => {
    running ??= store.verify().finally(() => {
      running = null;
    });
    return running;
  };
}

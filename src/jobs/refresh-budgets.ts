import type { LedgerWriter } from '../app/ledger-writer.ts';
import type { Ids } from '../ports/ids.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { JobResult } from './start-job.ts';

/** Budgets that one run brings up to date; there is another run at once where there were as many. */
const LIMIT = 500;

/**
 * Makes the job that ends the periods of budgets that nobody touches. Whatever looks at a budget ends its period first, so a budget that
 * is named here and touched meanwhile is only written once more as it is.
 */
export const makeRefreshBudgets =
  (deps: { records: Pick<RecordStore, 'staleBudgets'>; writer: Pick<LedgerWriter, 'execute'>; ids: Ids }): (() => Promise<JobResult>) =>
  async () => {
    const stale = await deps.records.staleBudgets({ limit: LIMIT });
    await Promise.all(stale.map((budget) => deps.writer.execute({ verb: 'refresh-budget', id: deps.ids.next('cmd'), ...budget })));
    return { more: stale.length === LIMIT };
  };

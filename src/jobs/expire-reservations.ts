import type { LedgerWriter } from '../app/ledger-writer.ts';
import type { Ids } from '../ports/ids.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { JobResult } from './start-job.ts';

/** Reservations that one run returns; there is another run at once where there were as many. */
const LIMIT = 500;

/**
 * Makes the job that returns the holds of reservations whose time and grace are over. Any node may expire any reservation: the decision
 * looks at the batch's own time, and one that somebody else has settled meanwhile is left alone.
 */
export const makeExpireReservations =
  (deps: {
    records: Pick<RecordStore, 'expiredReservations'>;
    writer: Pick<LedgerWriter, 'execute'>;
    ids: Ids;
  }): (() => Promise<JobResult>) =>
  async () => {
    const expired = await deps.records.expiredReservations({ limit: LIMIT });
    const outcomes = await Promise.all(
      expired.map(({ id, tenantId }) => deps.writer.execute({ verb: 'expire', id: deps.ids.next('cmd'), tenantId, reservationId: id })),
    );
    // Where no command did anything, somebody else was faster or a batch's time lags: asking again at once would spin.
    return { more: expired.length === LIMIT && outcomes.some((outcome) => outcome.ok && outcome.value.expired) };
  };

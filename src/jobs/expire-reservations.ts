import type { LedgerWriter } from '../app/ledger-writer.ts';
import { Fault } from '../core/fault.ts';
import type { Ids } from '../ports/ids.ts';
import type { Log } from '../ports/log.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { JobResult } from './start-job.ts';

/** Reservations that one run returns; there is another run at once where there were as many. */
const LIMIT = 500;

/** Rows that are set aside at most; with one more, all of them are tried again. */
const MAX_SET_ASIDE = 1000;

/** What the job needs. `onQuarantined` is called once for each reservation that is set aside. */
export interface ExpireReservationsDeps {
  readonly records: Pick<RecordStore, 'expiredReservations'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly log: Log;
  readonly onQuarantined: () => void;
  readonly limit?: number;
}

interface Due {
  readonly id: string;
  readonly tenantId: string;
}

/** How one reservation came out: its hold returned, settled by somebody else, or unreadable. */
type Result = 'expired' | 'left' | 'quarantined';

/**
 * Makes the job that returns the holds of reservations whose time and grace are over. Any node may expire any reservation: the decision
 * looks at the batch's own time, and one that somebody else has settled meanwhile is left alone.
 *
 * A row that cannot be read or booked is told once and set aside until the next start, so that it neither fails those beside it nor
 * stands in the way of those behind it; `verify` names it too. Where the store is away no row is to blame, and the run fails as a whole.
 */
export function makeExpireReservations(deps: ExpireReservationsDeps): () => Promise<JobResult> {
  const { records, writer, ids, log, onQuarantined, limit = LIMIT } = deps;
  const setAside = new Set<string>();

  const expire = async ({ id, tenantId }: Due): Promise<Result> => {
    try {
      const outcome = await writer.execute({ verb: 'expire', id: ids.next('cmd'), tenantId, reservationId: id });
      return outcome.ok && outcome.value.expired ? 'expired' : 'left';
    } catch (err) {
      if (err instanceof Fault) throw err;
      if (setAside.size >= MAX_SET_ASIDE) setAside.clear();
      setAside.add(id);
      onQuarantined();
      log.error({ err, reservationId: id, tenantId }, 'a reservation cannot be expired and is set aside');
      return 'quarantined';
    }
  };

  return async () => {
    const due = await records.expiredReservations({ limit, except: [...setAside] });
    const results = await Promise.allSettled(due.map(expire));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    // Where no command did anything, somebody else was faster or a batch's time lags: asking again at once would spin.
    return { more: due.length === limit && results.some((result) => result.status === 'fulfilled' && result.value !== 'left') };
  };
}

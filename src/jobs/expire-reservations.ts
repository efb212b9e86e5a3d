import type { LedgerWriter } from '../app/ledger-writer.ts';
import { Fault } from '../core/fault.ts';
import type { Ids } from '../ports/ids.ts';
import type { Log } from '../ports/log.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { JobResult } from './start-job.ts';

/** Reservations that one run returns; there is another run at once where there were as many. */
const LIMIT = 500;

/** Rows that nobody can read and that are set aside at once; beyond them the oldest are tried again. */
const MAX_SET_ASIDE = 1000;

/** What the job needs. */
interface ExpireDeps {
  readonly records: Pick<RecordStore, 'expiredReservations'>;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  readonly log: Log;
}

interface Due {
  readonly id: string;
  readonly tenantId: string;
}

/**
 * Makes the job that returns the holds of reservations whose time and grace are over. Any node may expire any reservation: the decision
 * looks at the batch's own time, and one that somebody else has settled meanwhile is left alone.
 *
 * A row that cannot be read is told once and set aside until the next start, so that it neither fails those beside it nor stands in the
 * way of those behind it.
 */
export function makeExpireReservations({ records, writer, ids, log }: ExpireDeps): () => Promise<JobResult> {
  const setAside = new Set<string>();

  const expire = async ({ id, tenantId }: Due): Promise<boolean> => {
    const outcome = await writer.execute({ verb: 'expire', id: ids.next('cmd'), tenantId, reservationId: id });
    return outcome.ok && outcome.value.expired;
  };

  /** Tries those that failed again, each by itself: of a batch that fails as a whole, most are good. */
  async function retry(failed: readonly Due[], options: { readonly othersWorked: boolean }): Promise<boolean> {
    let { othersWorked } = options;
    let didSomething = false;
    const faults: { readonly due: Due; readonly error: unknown }[] = [];
    for (const due of failed) {
      try {
        didSomething = (await expire(due)) || didSomething;
        othersWorked = true;
      } catch (error) {
        faults.push({ due, error });
      }
    }
    for (const { due, error } of faults) {
      // Where nothing at all works, the store is away, and no row is to blame.
      if (!othersWorked && error instanceof Fault) throw error;
      if (setAside.size >= MAX_SET_ASIDE) setAside.clear();
      setAside.add(due.id);
      log.error({ err: error, reservationId: due.id, tenantId: due.tenantId }, 'a reservation cannot be expired and is set aside');
    }
    return didSomething;
  }

  return async () => {
    const due = await records.expiredReservations({ limit: LIMIT, except: [...setAside] });
    const results = await Promise.allSettled(due.map(expire));
    const failed = due.filter((_, index) => results[index]?.status === 'rejected');
    let didSomething = results.some((result) => result.status === 'fulfilled' && result.value);
    if (failed.length > 0) didSomething = (await retry(failed, { othersWorked: failed.length < due.length })) || didSomething;
    // Where no command did anything, somebody else was faster or a batch's time lags: asking again at once would spin.
    return { more: due.length === LIMIT && didSomething };
  };
}

import { setTimeout as sleep } from 'node:timers/promises';
import type { Session } from './session.ts';
import { storeUnavailable } from './sql-errors.ts';

// Ends a server process and says whether it is still there. Its start time keeps a newer session with the same process number from
// being ended. It counts as there until its transaction is over.
const END_BACKEND = {
  name: 'end_backend',
  text: 'SELECT pg_terminate_backend(pid) AS told FROM pg_stat_activity WHERE pid = $1::int AND backend_start::text = $2',
};

// Index: batches_pkey.
const FIND_BATCH = { name: 'find_batch', text: 'SELECT at_ms FROM batches WHERE id = $1' };

/** Tells the server process behind a lost connection to end, and returns whether it had gone already. */
export async function endBackend(session: Session, lost: Pick<Session, 'pid' | 'backendStart'>): Promise<boolean> {
  const [there] = await session.send([{ statement: END_BACKEND, values: [lost.pid, lost.backendStart] }]);
  return there?.rows.length === 0;
}

/**
 * Learns what became of a COMMIT whose answer was lost: true where batch `batchId` is in the database, false where it is not and never
 * will be. The old server process is ended first, and waited for: as long as it lives, the COMMIT may still be on its way to it.
 *
 * Throws a `Fault` where neither could be learned until `deadlineMs` (milliseconds since the epoch); the batch may then have happened. It
 * throws nothing else: whoever hears of another error takes the batch for undone and runs its commands again.
 */
export async function wasCommitted(options: {
  batchId: string;
  lost: Pick<Session, 'pid' | 'backendStart'>;
  connect: () => Promise<Session>;
  deadlineMs: number;
}): Promise<boolean> {
  const { batchId, lost } = options;
  let cause: unknown;
  for (let waitMs = 5; Date.now() < options.deadlineMs; waitMs = Math.min(waitMs * 2, 250)) {
    try {
      const session = await options.connect();
      if (await endBackend(session, lost)) {
        const [found] = await session.send([{ statement: FIND_BATCH, values: [batchId] }]);
        return (found?.rows.length ?? 0) > 0;
      }
    } catch (error) {
      // Whatever it is (a server that is starting, a table that is locked, a full disk), it says nothing about the COMMIT.
      cause = error;
    }
    await sleep(waitMs);
  }
  throw storeUnavailable(
    `PostgreSQL: the answer to COMMIT of batch ${batchId} was lost, and whether it happened could not be learned`,
    cause,
  );
}

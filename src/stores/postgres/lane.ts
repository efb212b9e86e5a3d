import { setTimeout as sleep } from 'node:timers/promises';
import { InvariantViolation } from '../../core/invariant.ts';
import { runBatch } from '../../core/run-batch.ts';
import type { Command } from '../../core/verbs.ts';
import type { Changes } from '../../core/working-set.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import type { BatchResult } from '../../ports/ledger-store.ts';
import { batchNeeds, type BatchNeeds } from './batch-needs.ts';
import { COMMIT, type Session } from './session.ts';
import { loadBatch, StaleLoad, type LoadedBatch } from './load-batch.ts';
import { endBackend, wasCommitted } from './lost-commit.ts';
import { ConnectionLost, isRerunState, sqlStateOf, storeUnavailable, toThrowable, UNIQUE_VIOLATION } from './sql-errors.ts';
import type { Statement } from './statement.ts';
import { hasChanges, linkAudit, writeNewAccounts, writeRequests } from './write-batch.ts';

/** The time of a batch: takes the server's and gives one that is never below what any batch of this store had. */
export interface BatchClock {
  next(serverNowMs: number): number;
}

/** One writer: a connection of its own that runs one batch at a time. */
export interface Lane {
  execute(batchId: string, commands: readonly Command[]): Promise<BatchResult>;
  close(): Promise<void>;
}

/** What a lane needs. Lengths are milliseconds. */
export interface LaneOptions {
  readonly open: () => Promise<Session>;
  readonly clock: BatchClock;
  /** Only tests give one: it costs a packet of its own for each batch. */
  readonly failpoints: Failpoints | undefined;
  readonly warn: (message: string) => void;
  /** How long a batch waits for a connection before it fails. */
  readonly reconnectMs: number;
  /** How long a batch may be run again, and how long it may take to learn what became of a COMMIT. */
  readonly giveUpMs: number;
}

/** A batch on its way: its id, what it does, and the rows that it looks at. */
interface Batch {
  readonly id: string;
  readonly commands: readonly Command[];
  readonly needs: BatchNeeds;
}

/** What one attempt at a batch came to. `lost` keeps what was decided, in case the COMMIT went through. */
type Attempt =
  | { readonly kind: 'done'; readonly result: BatchResult }
  | { readonly kind: 'again'; readonly cause: unknown }
  | { readonly kind: 'lost'; readonly result: BatchResult; readonly cause: unknown };

/** After this many attempts a batch fails: 40 milliseconds of waiting in the mean, and every wait for a lock besides. */
const MAX_ATTEMPTS = 10;

const ROLLBACK: Statement = { name: 'rollback', text: 'ROLLBACK' };

/** Undoes the open transaction without waiting: whatever follows on the connection comes after it. */
function rollBack(session: Session): void {
  if (!session.isLost()) session.send([{ statement: ROLLBACK }]).catch(() => session.destroy());
}

/**
 * Writes what was decided and commits it, in one round trip (two where accounts are made). COMMIT is sent behind the statements without
 * waiting for their answers: where one fails, the server does not come to it.
 */
async function commitBatch(
  session: Session,
  loaded: LoadedBatch,
  batch: { id: string; changes: Changes; nowMs: number },
  failpoints: Failpoints | undefined,
): Promise<'committed' | ConnectionLost> {
  const { accountNos, answeredKeys } = loaded;
  const { id: batchId, changes, nowMs } = batch;
  await writeNewAccounts(session, changes, accountNos);
  const audit = await linkAudit(session, changes.audit);
  const writes = writeRequests({ batchId, changes, accountNos, answeredKeys, audit, nowMs });
  try {
    await session.send([...writes, { statement: COMMIT }], failpoints === undefined ? undefined : () => failpoints.hit('batch.written'));
    return 'committed';
  } catch (error) {
    if (error instanceof ConnectionLost) return error;
    throw error;
  }
}

/** Loads, decides, writes and commits once. Throws what a decision throws, and a `Fault` where trying again is of no use. */
async function attemptBatch(session: Session, batch: Batch, lane: LaneOptions): Promise<Attempt> {
  let loaded;
  try {
    loaded = await loadBatch(session, batch.needs);
  } catch (error) {
    if (error instanceof ConnectionLost) return { kind: 'again', cause: error };
    rollBack(session);
    if (error instanceof StaleLoad || isRerunState(sqlStateOf(error))) return { kind: 'again', cause: error };
    // Without a SQLSTATE it was not the server: a row cannot be read, and whoever asked for it is to blame, not the store.
    throw sqlStateOf(error) === undefined ? error : toThrowable(error);
  }
  let result: BatchResult;
  try {
    lane.failpoints?.hit('batch.loaded');
    const nowMs = lane.clock.next(loaded.serverNowMs);
    const outcomes = runBatch(loaded.rows, batch.commands, nowMs);
    const changes = loaded.rows.changes();
    lane.failpoints?.hit('batch.decided');
    result = { outcomes, nowMs, changedRecords: changes.records.map(({ kind, id }) => ({ kind, id })) };
    if (!hasChanges(changes)) {
      rollBack(session);
      return { kind: 'done', result };
    }
    const end = await commitBatch(session, loaded, { id: batch.id, changes, nowMs }, lane.failpoints);
    if (end !== 'committed') return { kind: 'lost', result, cause: end };
  } catch (error) {
    if (error instanceof ConnectionLost) return { kind: 'again', cause: error };
    rollBack(session);
    if (isRerunState(sqlStateOf(error))) return { kind: 'again', cause: error };
    throw sqlStateOf(error) === undefined ? error : toThrowable(error);
  }
  lane.failpoints?.hit('batch.committed');
  return { kind: 'done', result };
}

/** What a batch that was run again and again in vain throws. */
function giveUp(batchId: string, cause: unknown): unknown {
  if (sqlStateOf(cause) === UNIQUE_VIOLATION) return new InvariantViolation(`batch ${batchId} makes a row that exists already`, { cause });
  // Nothing was written; and what came into being between two statements is there at the next attempt.
  if (cause instanceof StaleLoad) return new InvariantViolation(`batch ${batchId} names a row that cannot be: ${cause.message}`, { cause });
  return storeUnavailable(`PostgreSQL: batch ${batchId} was run again and again in vain: ${String(cause)}`, cause);
}

/** Makes a lane. It connects when it first has something to do, and again whenever its connection was lost. */
export function makeLane(options: LaneOptions): Lane {
  let session: Session | undefined;
  let tail: Promise<unknown> = Promise.resolve();

  const connect = async (): Promise<Session> => {
    if (session !== undefined && !session.isLost()) return session;
    const lost = session;
    const fresh = await options.open();
    session = fresh;
    // A process whose client is gone may hold its locks for long.
    if (lost !== undefined) endBackend(fresh, lost).catch(() => undefined);
    return fresh;
  };

  const connectPatiently = async (): Promise<Session> => {
    const deadlineMs = Date.now() + options.reconnectMs;
    for (let waitMs = 10; ; waitMs *= 2) {
      try {
        return await connect();
      } catch (error) {
        if (Date.now() + waitMs >= deadlineMs) throw toThrowable(error);
        options.warn(`no connection to PostgreSQL: ${String(error)}`);
        await sleep(waitMs * (0.5 + Math.random() / 2));
      }
    }
  };

  const run = async (batch: Batch): Promise<BatchResult> => {
    const deadlineMs = Date.now() + options.giveUpMs;
    for (let attempt = 1; ; attempt++) {
      const used = await connectPatiently();
      const outcome = await attemptBatch(used, batch, options);
      if (outcome.kind === 'done') return outcome.result;
      options.warn(`batch ${batch.id}, attempt ${attempt}: ${String(outcome.cause)}`);
      if (outcome.kind === 'lost') {
        const happened = await wasCommitted({ batchId: batch.id, lost: used, connect, deadlineMs: Date.now() + options.giveUpMs });
        if (happened) return outcome.result;
      }
      if (attempt === MAX_ATTEMPTS || Date.now() > deadlineMs) throw giveUp(batch.id, outcome.cause);
      await sleep(Math.random() * Math.min(2 ** attempt, 100));
    }
  };

  return {
    execute(batchId, commands) {
      const result = tail.then(async () => {
        const answer = await run({ id: batchId, commands, needs: batchNeeds(commands) });
        options.failpoints?.hit('batch.answered');
        return answer;
      });
      tail = result.catch(() => undefined);
      return result;
    },
    async close() {
      await tail;
      await session?.close();
      session = undefined;
    },
  };
}

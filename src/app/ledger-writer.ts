import { Fault } from '../core/fault.ts';
import type { RecordRef } from '../core/records.ts';
import type { Outcome } from '../core/rejection.ts';
import type { Command, CommandValue } from '../core/verbs.ts';
import type { Failpoints } from '../ports/failpoints.ts';
import type { Ids } from '../ports/ids.ts';
import type { BatchResult, LedgerStore } from '../ports/ledger-store.ts';
import type { Log } from '../ports/log.ts';

/** An outcome that the end of this process cannot undo. `durable` resolves once the loss of the machine's power cannot either. */
export interface Written<T> {
  readonly outcome: Outcome<T>;
  /** Rejects with the store's `Fault` where it could not flush. */
  readonly durable: Promise<void>;
}

/** The one way to change anything: commands go in, and their outcomes come back when they are durable. */
export interface LedgerWriter {
  /**
   * Runs `command` in a batch with whatever else arrives. Commands of one tenant run in the order in which they came.
   *
   * Resolves with the outcome, durable. Throws a `Fault`: `overloaded` (the queue is full; nothing happened) or `store_unavailable`
   * (nothing happened, or nobody knows; it is not tried again), or what the decision threw (our fault; nothing happened).
   */
  execute<C extends Command>(command: C): Promise<Outcome<CommandValue<C>>>;
  /**
   * As {@link LedgerWriter.execute}, but resolves as soon as the outcome is written. For what nobody outside learns before something later
   * in the same lane is durable, or before `durable` has resolved.
   */
  write<C extends Command>(command: C): Promise<Written<CommandValue<C>>>;
  /** Resolves when every command that was given before is decided and durable, or failed; of that tenant only where one is named. */
  barrier(tenantId?: string): Promise<void>;
  /** How many commands wait or are under way. */
  readonly pending: number;
  /** Takes no more commands, and resolves when all those given before have ended. Safe to call twice. */
  close(): Promise<void>;
}

/** What the writer needs. Counts are numbers of commands. */
export interface LedgerWriterOptions {
  readonly store: Pick<LedgerStore, 'lanes' | 'execute'>;
  readonly ids: Pick<Ids, 'next'>;
  /** Called with the records that a batch changed before any of its callers is answered, so that none of them can meet an old copy. */
  readonly onRecordsChanged: (refs: readonly RecordRef[]) => void;
  /** How many commands may wait or be under way before new ones are turned away. */
  readonly maxQueued: number;
  readonly failpoints: Failpoints;
  readonly log: Log;
  /** Largest batch; 256 where nothing is said. */
  readonly maxBatch?: number;
}

/** What a caller is told to wait when the queue is full: by then it has been worked off, or the store is stuck. */
const RETRY_AFTER_MS = 1000;

interface Job {
  readonly command: Command;
  readonly sequence: number;
  /** Takes the outcome as soon as it is written; null for a caller who waits until it is durable. */
  readonly early: ((outcome: Outcome<unknown>, durable: Promise<void>) => void) | null;
  readonly resolve: (outcome: Outcome<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Commands that run one batch after another. `isWriting`: a batch is not yet written. `inFlight` holds the first sequence number of each
 * batch that is not yet durable.
 */
interface Lane {
  readonly index: number;
  queue: Job[];
  nextSequence: number;
  isScheduled: boolean;
  isWriting: boolean;
  readonly inFlight: Set<number>;
  waiters: { readonly before: number; readonly resolve: () => void }[];
}

/** The lane of a tenant: FNV-1a of its id, so that one tenant's commands never overtake each other. */
function laneIndex(tenantId: string, lanes: number): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < tenantId.length; i++) hash = Math.imul(hash ^ tenantId.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % lanes;
}

/** Makes the group-committing writer: a batch gathers what arrives while the one before it is being made durable. */
export function makeLedgerWriter(options: LedgerWriterOptions): LedgerWriter {
  const { maxQueued, log, maxBatch = 256 } = options;
  const lanes = Array.from({ length: options.store.lanes }, (_, index) => newLane(index));
  let pending = 0;
  let isClosed = false;

  function schedule(lane: Lane): void {
    if (lane.isScheduled || lane.queue.length === 0 || lane.isWriting) return;
    lane.isScheduled = true;
    // After the events of this turn of the loop: requests that arrived together share a batch, and a lone one waits for nothing.
    setImmediate(() => {
      lane.isScheduled = false;
      if (lane.queue.length > 0 && !lane.isWriting) void runBatch(lane);
    });
  }

  async function runBatch(lane: Lane): Promise<void> {
    const jobs = lane.queue.length <= maxBatch ? lane.queue : lane.queue.slice(0, maxBatch);
    lane.queue = lane.queue.length <= maxBatch ? [] : lane.queue.slice(maxBatch);
    const first = jobs[0]?.sequence ?? lane.nextSequence;
    lane.inFlight.add(first);
    lane.isWriting = true;
    let isWritten = false;
    const written = (): void => {
      if (isWritten) return;
      isWritten = true;
      lane.isWriting = false;
      schedule(lane);
    };
    await runJobs(jobs, lane, written);
    lane.inFlight.delete(first);
    pending -= jobs.length;
    releaseWaiters(lane);
    written();
  }

  /** Runs jobs as one batch; where our own code threw, one by one, so that only the guilty command fails. Never throws. */
  async function runJobs(jobs: readonly Job[], lane: Lane, written: () => void): Promise<void> {
    let result: BatchResult;
    const early = jobs.some((job) => job.early !== null) ? answerEarly(jobs) : null;
    const onWritten =
      early === null
        ? undefined
        : (outcome: BatchResult): void => {
            early.answer(outcome);
            written();
          };
    try {
      result = await options.store.execute(
        options.ids.next('bat'),
        jobs.map(({ command }) => command),
        lane.index,
        onWritten,
      );
    } catch (error) {
      early?.fail(error);
      const [only, ...others] = jobs;
      // Behind a `Fault` the batch may have happened, and running its commands again could book them twice. Of everything else the store
      // promises that nothing happened.
      if (error instanceof Fault || others.length === 0) {
        if (!(error instanceof Fault)) log.error({ err: error, verb: only?.command.verb, commandId: only?.command.id }, 'a command failed');
        for (const job of jobs) job.reject(error);
        return;
      }
      log.warn({ err: error, commands: jobs.length }, 'a batch failed; its commands run one by one');
      for (const job of jobs) await runJobs([job], lane, () => undefined);
      return;
    }
    announce(result.changedRecords);
    early?.answer(result);
    early?.flushed();
    for (const [index, job] of jobs.entries()) settle(job, result.outcomes[index]);
    options.failpoints.hit('batch.answered');
  }

  function announce(refs: readonly RecordRef[]): void {
    if (refs.length === 0) return;
    try {
      options.onRecordsChanged(refs);
    } catch (error) {
      // The batch is durable: its callers must learn so, whatever a listener does.
      log.error({ err: error }, 'a listener to changed records failed');
    }
  }

  function enqueue(command: Command, answer: Pick<Job, 'early' | 'resolve' | 'reject'>): void {
    if (isClosed) return answer.reject(closedFault());
    if (pending >= maxQueued) return answer.reject(overloadedFault(pending));
    const lane = lanes[laneIndex(command.tenantId, lanes.length)] as Lane;
    pending += 1;
    lane.queue.push({ command, sequence: lane.nextSequence++, ...answer });
    schedule(lane);
  }

  return {
    // The store answers commands in order, each with the value of its verb.
    execute: <C extends Command>(command: C) =>
      new Promise<Outcome<CommandValue<C>>>((resolve, reject) =>
        enqueue(command, { early: null, resolve: resolve as Job['resolve'], reject }),
      ),
    write: <C extends Command>(command: C) =>
      new Promise<Written<CommandValue<C>>>((resolve, reject) => {
        const early = (outcome: Outcome<unknown>, durable: Promise<void>): void =>
          resolve({ outcome: outcome as Outcome<CommandValue<C>>, durable });
        // What `early` has resolved stays so.
        enqueue(command, { early, resolve: () => undefined, reject });
      }),
    barrier: async (tenantId) => {
      const concerned = tenantId === undefined ? lanes : lanes.filter(({ index }) => index === laneIndex(tenantId, lanes.length));
      await Promise.all(concerned.map(laneBarrier));
    },
    get pending() {
      return pending;
    },
    close: async () => {
      isClosed = true;
      await Promise.all(lanes.map(laneBarrier));
    },
  };
}

const newLane = (index: number): Lane => ({
  index,
  queue: [],
  nextSequence: 0,
  isScheduled: false,
  isWriting: false,
  inFlight: new Set(),
  waiters: [],
});

/** Answers those jobs of a batch that wait for its writing only. Each function may be called more than once. */
interface EarlyAnswers {
  answer(result: BatchResult): void;
  flushed(): void;
  fail(error: unknown): void;
}

function answerEarly(jobs: readonly Job[]): EarlyAnswers {
  const { promise: durable, resolve: flushed, reject: fail } = Promise.withResolvers<void>();
  // Whoever awaits it sees the failure; a call that ends by another way has no need to.
  durable.catch(() => undefined);
  const answer = ({ outcomes }: BatchResult): void => {
    for (const [index, job] of jobs.entries()) {
      const outcome = outcomes[index];
      if (outcome !== undefined) job.early?.(outcome, durable);
    }
  };
  return { answer, flushed, fail };
}

function settle(job: Job, outcome: Outcome<unknown> | undefined): void {
  if (outcome === undefined) job.reject(new Error('the store gave fewer outcomes than commands'));
  else job.resolve(outcome);
}

/** The sequence number of the oldest command of a lane that has not ended. */
const oldestPending = (lane: Lane): number => Math.min(...lane.inFlight, lane.queue[0]?.sequence ?? lane.nextSequence);

function laneBarrier(lane: Lane): Promise<void> {
  if (oldestPending(lane) >= lane.nextSequence) return Promise.resolve();
  return new Promise((resolve) => lane.waiters.push({ before: lane.nextSequence, resolve }));
}

function releaseWaiters(lane: Lane): void {
  if (lane.waiters.length === 0) return;
  const oldest = oldestPending(lane);
  const waiting = lane.waiters;
  lane.waiters = waiting.filter(({ before }) => before > oldest);
  for (const { before, resolve } of waiting) if (before <= oldest) resolve();
}

const closedFault = (): Fault =>
  new Fault({
    code: 'store_unavailable',
    message: 'the writer is closed',
    publicMessage: 'The server is shutting down.',
    retryAfterMs: RETRY_AFTER_MS,
  });

const overloadedFault = (pending: number): Fault =>
  new Fault({
    code: 'overloaded',
    message: `the writer's queue is full: ${pending} commands`,
    publicMessage: 'The server is busy; try again soon.',
    retryAfterMs: RETRY_AFTER_MS,
  });

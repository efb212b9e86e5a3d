import { Fault } from '../core/fault.ts';
import type { RecordRef } from '../core/records.ts';
import type { Outcome } from '../core/rejection.ts';
import type { Command, CommandValue } from '../core/verbs.ts';
import type { Failpoints } from '../ports/failpoints.ts';
import type { Ids } from '../ports/ids.ts';
import type { BatchResult, LedgerStore } from '../ports/ledger-store.ts';
import type { Log } from '../ports/log.ts';

/** The one way to change anything: commands go in, and their outcomes come back when they are durable. */
export interface LedgerWriter {
  /**
   * Runs `command` in a batch with whatever else arrives. Commands of one tenant run in the order in which they came.
   *
   * Resolves with the outcome, durable. Throws a `Fault`: `overloaded` (the queue is full; nothing happened) or `store_unavailable`
   * (nothing happened, or nobody knows; it is not tried again), or what the decision threw (our fault; nothing happened).
   */
  execute<C extends Command>(command: C): Promise<Outcome<CommandValue<C>>>;
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
  /** Batches of one lane under way at once; 1 where nothing is said. */
  readonly maxInFlight?: number;
}

/** What a caller is told to wait when the queue is full: by then it has been worked off, or the store is stuck. */
const RETRY_AFTER_MS = 1000;

interface Job {
  readonly command: Command;
  readonly sequence: number;
  readonly resolve: (outcome: Outcome<unknown>) => void;
  readonly reject: (error: unknown) => void;
}

/** Commands that run one batch after another. `inFlight` holds the first sequence number of each batch under way. */
interface Lane {
  readonly index: number;
  queue: Job[];
  nextSequence: number;
  isScheduled: boolean;
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
  const { maxQueued, log, maxBatch = 256, maxInFlight = 1 } = options;
  const lanes = Array.from({ length: options.store.lanes }, (_, index) => newLane(index));
  let pending = 0;
  let isClosed = false;

  function schedule(lane: Lane): void {
    if (lane.isScheduled || lane.queue.length === 0 || lane.inFlight.size >= maxInFlight) return;
    lane.isScheduled = true;
    // After the events of this turn of the loop: requests that arrived together share a batch, and a lone one waits for nothing.
    setImmediate(() => {
      lane.isScheduled = false;
      if (lane.queue.length > 0 && lane.inFlight.size < maxInFlight) void flush(lane);
      schedule(lane);
    });
  }

  async function flush(lane: Lane): Promise<void> {
    const jobs = lane.queue.length <= maxBatch ? lane.queue : lane.queue.slice(0, maxBatch);
    lane.queue = lane.queue.length <= maxBatch ? [] : lane.queue.slice(maxBatch);
    const first = jobs[0]?.sequence ?? lane.nextSequence;
    lane.inFlight.add(first);
    await runJobs(jobs, lane);
    lane.inFlight.delete(first);
    pending -= jobs.length;
    releaseWaiters(lane);
    schedule(lane);
  }

  /** Runs jobs as one batch; where our own code threw, one by one, so that only the guilty command fails. Never throws. */
  async function runJobs(jobs: readonly Job[], lane: Lane): Promise<void> {
    let result: BatchResult;
    try {
      result = await options.store.execute(
        options.ids.next('bat'),
        jobs.map(({ command }) => command),
        lane.index,
      );
    } catch (error) {
      const [only, ...others] = jobs;
      // Behind a `Fault` the batch may have happened, and running its commands again could book them twice. Of everything else the store
      // promises that nothing happened.
      if (error instanceof Fault || others.length === 0) {
        if (!(error instanceof Fault)) log.error({ err: error, verb: only?.command.verb, commandId: only?.command.id }, 'a command failed');
        for (const job of jobs) job.reject(error);
        return;
      }
      log.warn({ err: error, commands: jobs.length }, 'a batch failed; its commands run one by one');
      for (const job of jobs) await runJobs([job], lane);
      return;
    }
    announce(result.changedRecords);
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

  return {
    execute<C extends Command>(command: C) {
      if (isClosed) return Promise.reject(closedFault());
      if (pending >= maxQueued) return Promise.reject(overloadedFault(pending));
      const lane = lanes[laneIndex(command.tenantId, lanes.length)] as Lane;
      pending += 1;
      return new Promise<Outcome<CommandValue<C>>>((resolve, reject) => {
        const sequence = lane.nextSequence++;
        // The store answers commands in order, each with the value of its verb.
        lane.queue.push({ command, sequence, resolve: resolve as Job['resolve'], reject });
        schedule(lane);
      });
    },
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

const newLane = (index: number): Lane => ({ index, queue: [], nextSequence: 0, isScheduled: false, inFlight: new Set(), waiters: [] });

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

import type { LedgerWriter } from '../app/ledger-writer.ts';
import type { Retention } from '../core/retention/retention.ts';
import type { Ids } from '../ports/ids.ts';
import type { LedgerStore } from '../ports/ledger-store.ts';
import type { Log } from '../ports/log.ts';
import type { RecordStore } from '../ports/record-store.ts';
import { makeExpireReservations } from './expire-reservations.ts';
import { makeRefreshBudgets } from './refresh-budgets.ts';
import type { LiveOwners } from './live-owners.ts';
import { startJob, type Job } from './start-job.ts';

const SECOND_MS = 1000;
const HOUR_MS = 3_600_000;
/** Usage shows at once, folded or not; folding often keeps the tail short that every query adds. */
const FOLD_EVERY_MS = 300;
const FOLD_LIMIT = 5000;
/** The first pruning waits: a start has more urgent work for the disk. */
const FIRST_PRUNE_MS = 60_000;
/** Between two months it has nothing to do. What was missed is made before the first pruning. */
const ISSUE_EVERY_MS = 60_000;
const FIRST_ISSUE_MS = 1000;
const TELL_USAGE_EVERY_MS = 60_000;
/** What somebody could change in the trail without a trace is at most so old. */
const EXPORT_HEADS_EVERY_MS = 60_000;
const FIRST_EXPORT_MS = 5000;

/** The jobs that run for as long as the process. */
export interface Jobs {
  /** Failed runs of each job so far. */
  failures(): Readonly<Record<string, number>>;
  /** Ends them all, and resolves when none runs any more. */
  stop(): Promise<void>;
}

/** What the jobs need. `settleInterrupted` settles the calls whose owners are not among those it is given. */
export interface JobDeps {
  readonly store: LedgerStore & RecordStore;
  readonly writer: Pick<LedgerWriter, 'execute'>;
  readonly settleInterrupted: (query: { readonly liveOwnerIds: readonly string[] }) => Promise<unknown>;
  /** Goes on with tenants whose closing was broken off. */
  readonly resumeCloses: () => Promise<void>;
  /** Issues the statements of months that are over. */
  readonly issueStatements: () => Promise<void>;
  /** Tells the payment service of usage; null where none is declared. */
  readonly tellUsage: (() => Promise<void>) | null;
  /** Writes down when tenants' keys were used. */
  readonly flushKeyUses: () => Promise<void>;
  /** Write down what was refused and only counted: without a good credential, and of callers who are refused too often. */
  readonly flushRefusals: readonly (() => Promise<void>)[];
  readonly liveOwners: LiveOwners;
  /** Called once for each reservation that cannot be expired and is set aside. */
  readonly onQuarantined: () => void;
  /** Whether other processes use the same store; else nobody needs to hear that this one lives. */
  readonly isShared: boolean;
  readonly retention: Retention;
  /** Signs where the audit trail is cut. */
  readonly trail: { readonly secret: string };
  /** Exports where the chains of the audit trail end. */
  readonly exportHeads: () => Promise<void>;
  readonly ids: Ids;
  readonly log: Log;
}

/** Starts every job. */
export function startJobs(deps: JobDeps): Jobs {
  const { store, liveOwners, log } = deps;
  let isStopping = false;
  const expire = makeExpireReservations({ ...deps, records: store });
  const jobs: Job[] = [
    startJob({ name: 'expire-reservations', everyMs: SECOND_MS, run: expire, log }),
    startJob({ name: 'refresh-budgets', everyMs: SECOND_MS, run: makeRefreshBudgets({ ...deps, records: store }), log }),
    startJob({
      name: 'settle-interrupted',
      everyMs: 5 * SECOND_MS,
      run: async () => void (await deps.settleInterrupted({ liveOwnerIds: liveOwners.current() })),
      log,
    }),
    startJob({ name: 'close-tenants', everyMs: 5 * SECOND_MS, run: deps.resumeCloses, log }),
    startJob({ name: 'issue-statements', everyMs: ISSUE_EVERY_MS, firstInMs: FIRST_ISSUE_MS, run: deps.issueStatements, log }),
    startJob({ name: 'note-key-uses', everyMs: 5 * SECOND_MS, run: deps.flushKeyUses, log }),
    startJob({
      name: 'note-refusals',
      everyMs: 5 * SECOND_MS,
      run: async () => void (await Promise.all(deps.flushRefusals.map((flush) => flush()))),
      log,
    }),
    startJob({
      name: 'fold-usage',
      everyMs: FOLD_EVERY_MS,
      run: async () => ({ more: (await store.foldUsage(FOLD_LIMIT)) >= FOLD_LIMIT }),
      log,
    }),
    startJob({
      name: 'prune',
      everyMs: HOUR_MS,
      firstInMs: FIRST_PRUNE_MS,
      run: async () => void (await store.prune(deps.retention, () => isStopping, deps.trail.secret)),
      log,
    }),
  ];
  jobs.push(
    startJob({ name: 'export-audit-heads', everyMs: EXPORT_HEADS_EVERY_MS, firstInMs: FIRST_EXPORT_MS, run: deps.exportHeads, log }),
  );
  const { tellUsage } = deps;
  if (tellUsage !== null)
    jobs.push(startJob({ name: 'tell-usage', everyMs: TELL_USAGE_EVERY_MS, firstInMs: FIRST_ISSUE_MS, run: tellUsage, log }));
  if (deps.isShared) jobs.push(startJob({ name: 'heartbeat', everyMs: SECOND_MS, run: () => liveOwners.beat(), log }));
  return {
    failures: () => Object.fromEntries(jobs.map((job) => [job.name, job.failures()])),
    stop: async () => {
      isStopping = true;
      await Promise.all(jobs.map((job) => job.stop()));
    },
  };
}

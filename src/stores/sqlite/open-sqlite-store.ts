import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DEFAULT_RETENTION } from '../../core/retention/retention.ts';
import type { Clock } from '../../ports/clock.ts';
import type { BatchResult, LedgerStore, Verification } from '../../ports/ledger-store.ts';
import type { Log } from '../../ports/log.ts';
import type { RecordStore } from '../../ports/record-store.ts';
import type { WebhookStore } from '../../ports/webhook-store.ts';
import { DATABASE_FILE, LOCK_FILE, logFile } from './connection.ts';
import { openLogFlusher } from './log-flusher.ts';
import type {
  Answer,
  Queries,
  QueryName,
  ReaderData,
  ReaderRequest,
  VerifierRequest,
  WebhookReadName,
  WebhookWrite,
  WriterData,
  WriterRequest,
} from './messages.ts';
import { packCommand } from './packed-command.ts';
import { fromUsageColumns } from './usage-columns.ts';
import type { PruneStep } from './prune.ts';
import { startWorker, type WorkerClient } from './worker-client.ts';

/**
 * Where the database is and what the store takes from outside. `dataDir` is made where it is missing; `file` names a database file
 * itself (its lock lies beside it). `failpointsModule` is the URL of a module that exports `failpoints`; only tests give one.
 */
export type SqliteStoreOptions = ({ readonly dataDir: string } | { readonly file: string }) & {
  readonly clock: Clock;
  readonly failpointsModule?: string;
  readonly log?: Log;
  /** Called where a thread of the store ends by itself: nothing works from then on until the store is opened anew. */
  readonly onLost?: (error: Error) => void;
};

/** Rows that one step of pruning removes at most, of each kind and level: some ten milliseconds of the writer's time. */
const PRUNE_STEP_ROWS = 2000;

/**
 * Opens the embedded store: one thread that writes, one that reads. Applies the migrations that the database lacks.
 *
 * Rejects with a `StoreRefusal` where another process has the folder open or a newer program has migrated it, and with a `Fault`
 * `store_unavailable` where the disk fails.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<LedgerStore & RecordStore & WebhookStore> {
  const { clock, log } = options;
  const files = locate(options);
  const onLost = (error: Error): void => options.onLost?.(error);
  const writer = await startWorker<WriterRequest>({
    url: workerUrl('writer-worker'),
    name: 'sqlite writer',
    data: { ...files, failpointsModule: options.failpointsModule ?? null } satisfies WriterData,
    onLost,
    onNotice: (notice) => log?.warn({ file: files.file }, notice),
  });
  const data: ReaderData = { file: files.file };
  let reader: WorkerClient<ReaderRequest>;
  try {
    reader = await startWorker({ url: workerUrl('reader-worker'), name: 'sqlite reader', data, onLost });
  } catch (error) {
    await writer.close();
    throw error;
  }
  const flusher = openLogFlusher(logFile(files.file), onLost);
  log?.info({ file: files.file }, 'the store is open');

  return {
    ...recordQueries(reader, clock),
    ...webhookMethods({ reader, writer, clock }),
    heartbeat: ({ ownerId, withinMs }) =>
      writer.request({ type: 'heartbeat', ownerId, withinMs, clockMs: clock.nowMs() }) as Promise<string[]>,
    lanes: 1,
    // A lost COMMIT cannot be: the writer is in this process, and its answer is the commit's. So the batch's id is not stored.
    execute: async (_batchId, commands, _lane, onWritten) => {
      // Nobody waits for the writing alone: then the writer flushes itself, which spares a change of threads.
      const flush = onWritten === undefined;
      const packed = commands.map(packCommand);
      const result = (await writer.request({ type: 'execute', commands: packed, clockMs: clock.nowMs(), flush })) as BatchResult;
      if (flush) return result;
      onWritten(result);
      await flusher.flush();
      return result;
    },
    foldUsage: (limit) => writer.request({ type: 'fold-usage', limit, clockMs: clock.nowMs() }) as Promise<number>,
    prune: async (retention = DEFAULT_RETENTION, isStopping = () => false, trailSecret) => {
      const clockMs = clock.nowMs();
      // Step by step, so that batches go between the steps.
      for (let removed = 0; ;) {
        const step = (await writer.request({
          type: 'prune',
          retention,
          clockMs,
          limit: PRUNE_STEP_ROWS,
          trailSecret: trailSecret ?? null,
        })) as PruneStep;
        removed += step.removed;
        if (step.isDone || isStopping()) return removed;
      }
    },
    verify: async (witness) => {
      const verifier = await startWorker<VerifierRequest>({ url: workerUrl('verifier-worker'), name: 'sqlite verifier', data });
      try {
        return (await verifier.request({ witness })) as Verification;
      } finally {
        await verifier.close();
      }
    },
    close: async () => {
      // The last connection to close writes the log back into the database, and only the writer may.
      await flusher.close();
      await reader.close();
      await writer.close();
      log?.info({ file: files.file }, 'the store is closed');
    },
  };
}

function locate(options: SqliteStoreOptions): { file: string; lockFile: string } {
  if ('file' in options) return { file: resolve(options.file), lockFile: `${resolve(options.file)}.lock` };
  const folder = resolve(options.dataDir);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return { file: join(folder, DATABASE_FILE), lockFile: join(folder, LOCK_FILE) };
}

/** The file of a worker: TypeScript beside TypeScript, JavaScript where the program was built. */
const workerUrl = (name: string): URL => new URL(`./${name}${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

function recordQueries(reader: WorkerClient<ReaderRequest>, clock: Clock): Omit<RecordStore, 'heartbeat'> {
  const ask =
    <M extends QueryName>(query: M) =>
    (...args: Parameters<Queries[M]>): Promise<Answer<M>> =>
      // The reader answers a query with the query's own result.
      reader.request({ query, args } as ReaderRequest) as Promise<Answer<M>>;
  const usageTotals = ask('usageTotals');
  const expiredReservations = ask('expiredReservations');
  const staleBudgets = ask('staleBudgets');
  return {
    record: ask('record') as RecordStore['record'],
    records: ask('records') as RecordStore['records'],
    keyByHash: ask('keyByHash'),
    deletedKeyByHash: ask('deletedKeyByHash'),
    quarantinedReports: ask('quarantinedReports'),
    keys: ask('keys'),
    keyNames: ask('keyNames'),
    credits: ask('credits'),
    events: ask('events'),
    accounts: ask('accounts'),
    reservation: ask('reservation'),
    reservations: ask('reservations'),
    expiredReservations: (query) => expiredReservations({ ...query, clockMs: clock.nowMs() }),
    unsettledCalls: ask('unsettledCalls'),
    budgets: ask('budgets'),
    countBudgets: ask('countBudgets'),
    staleBudgets: ({ limit }) => staleBudgets({ limit, clockMs: clock.nowMs() }),
    policies: ask('policies'),
    usageTotals: async (query) => fromUsageColumns(await usageTotals(query)),
    usageSeries: ask('usageSeries'),
    keyUsage: ask('keyUsage'),
    usageEvents: ask('usageEvents'),
    usageCharges: ask('usageCharges'),
    containerSamples: ask('containerSamples'),
    firstUsageMs: ask('firstUsageMs'),
    chargedMicrocents: ask('chargedMicrocents'),
    upstreamObjects: ask('upstreamObjects'),
    generation: ask('generation'),
    tenantPage: ask('tenantPage'),
    tenantCount: ask('tenantCount'),
    tenantKeyPage: ask('tenantKeyPage'),
    auditPage: ask('auditPage'),
    auditHeads: ask('auditHeads'),
    auditPlaces: ask('auditPlaces'),
    keyUses: ask('keyUses'),
    overview: ask('overview'),
    openThings: ask('openThings'),
  };
}

function webhookMethods(by: {
  readonly reader: WorkerClient<ReaderRequest>;
  readonly writer: WorkerClient<WriterRequest>;
  readonly clock: Clock;
}): WebhookStore {
  const { reader, writer, clock } = by;
  const ask =
    <M extends WebhookReadName>(query: M) =>
    (arg: Parameters<WebhookStore[M]>[0]): ReturnType<WebhookStore[M]> =>
      // The reader answers a query with the query's own result, as the writer does.
      reader.request({ query, args: [arg, clock.nowMs()] } as ReaderRequest) as ReturnType<WebhookStore[M]>;
  const tell =
    <M extends WebhookWrite['method']>(method: M) =>
    (arg: Parameters<WebhookStore[M]>[0]): ReturnType<WebhookStore[M]> =>
      writer.request({ type: 'webhooks', write: { method, arg } as WebhookWrite, clockMs: clock.nowMs() }) as ReturnType<WebhookStore[M]>;
  return {
    listEvents: ask('listEvents'),
    event: ask('event'),
    eventsToHandOut: ask('eventsToHandOut'),
    dueDeliveries: ask('dueDeliveries'),
    untoldFailures: ask('untoldFailures'),
    deliveries: ask('deliveries'),
    webhookHealth: ask('webhookHealth'),
    activitySums: ask('activitySums'),
    budgetSpend: ask('budgetSpend'),
    untoldKeyExpiries: ask('untoldKeyExpiries'),
    handOut: tell('handOut'),
    startReplay: tell('startReplay'),
    addEnded: tell('addEnded'),
    leaseDeliveries: tell('leaseDeliveries'),
    renewLease: tell('renewLease'),
    wakeDeliveries: tell('wakeDeliveries'),
    writeRounds: tell('writeRounds'),
    dropDeliveries: tell('dropDeliveries'),
    markTold: tell('markTold'),
    addActivity: tell('addActivity'),
  };
}

import type { Ids } from '../ports/ids.ts';
import { openTrail } from './audit-heads-file.ts';
import { refuseUnfinishedRestore } from './backup/unfinished-restore.ts';
import { endInterruptedChange, followSealingKey, isChangeInterrupted, makeMasterKeys } from './change-master-key.ts';
import { makeClosers, type Closers } from './closers.ts';
import { compose, type ComposeDeps } from './compose.ts';
import { type Config, refuseWeakOperatorKey } from './config.ts';
import { hasCredentials, keepRotated } from './credentials.ts';
import { openDataFolder } from './data-folder.ts';
import { loadDemoTokenizer } from './demo-call.ts';
import { makeDeclaredFields } from './declared/named-fields.ts';
import { CLIENT_TIMEOUTS } from './listener.ts';
import { openListeners, type Listeners } from './listeners.ts';
import { makeProcessLog, type ProcessLog } from './logging.ts';
import { openSecrets } from './master-key.ts';
import { openStore } from './open-store.ts';
import type { Overrides } from './overrides.ts';
import { prepareStore, type Prepared } from './prepare-store.ts';
import { adoptRunLock } from './restart/adopt-run-lock.ts';
import type { BoundSocket, SocketCase } from './restart/sockets.ts';
import { beginRun, rememberRun, takeRunLock, type RunIdentity } from './run-identity.ts';
import { makeBillTokens } from './secrets/bill-tokens.ts';
import { makeHmacKeyHasher } from './secrets/hmac-key-hasher.ts';
import { makeSystemClock } from './secrets/system-clock.ts';
import { makeSystemIds } from './secrets/system-ids.ts';
import { observeLog } from './telemetry/observe-log.ts';
import { openMetrics, openTracing } from './telemetry/telemetry.ts';
import { programVersion } from './version.ts';
import { makeTokenizers } from '../upstreams/tokenizers/tokenizers.ts';

/** A program that serves. */
export interface Running {
  readonly listeners: Listeners;
  readonly prepared: Prepared;
  readonly log: ProcessLog;
  /** Resolves with the cause where the store stops for good: nothing can be booked from then on, and only a new start mends it. */
  readonly storeLost: Promise<Error>;
  /** Whether another process may serve on the same store at the same time. */
  readonly isShared: boolean;
  /** The sockets that it listens on, for a process that takes over; null where they cannot be handed over. */
  sockets(): readonly BoundSocket[] | null;
  /**
   * Ends after another process has taken over the sockets: accepts nothing new, answers whatever comes on connections that are open, waits
   * for every answer however long it takes, and closes everything. {@link Running.stop} cuts that short.
   */
  retire(): Promise<void>;
  /** Ends gracefully: nothing new is taken, what is in flight is finished and settled, everything is closed. Safe to call again. */
  stop(): Promise<void>;
}

/** How a process takes over from another. `isBeside`: the other goes on serving meanwhile, on the same store and in the same data folder. */
export interface Handover {
  readonly sockets: SocketCase;
  readonly isBeside: boolean;
}

/**
 * Starts the program, a step a line. A step that fails closes what the steps before it opened.
 *
 * Throws a `ConfigError` or a store's `StoreRefusal`, each one sentence for the operator, or a `Fault` where the store cannot be reached.
 */
export async function boot(config: Config, overrides: Overrides = {}, handover: Handover | null = null): Promise<Running> {
  const metrics = openMetrics(config);
  const log = observeLog(overrides.log ?? makeProcessLog({ level: config.logLevel }), metrics);
  const closers = makeClosers(log);
  let lostBecause: Error | null = null;
  let tellLost = (_error: Error): void => undefined;
  const storeLost = new Promise<Error>((resolve) => (tellLost = resolve));
  const onLost = (error: Error): void => {
    lostBecause ??= error;
    tellLost(error);
  };
  closers.add('log', () => log.flush());
  try {
    const systemClock = makeSystemClock();
    const clock = overrides.clock ?? systemClock;
    const ids = overrides.ids ?? makeSystemIds({ clock: systemClock });
    const tokenizers = makeTokenizers();
    openDataFolder(config.dataDir);
    if (config.databaseUrl === null) refuseUnfinishedRestore(config.dataDir);
    const isBeside = handover?.isBeside === true;
    const lock = isBeside ? null : takeRunLock(config.dataDir);
    closers.add('run lock', () => lock?.release());
    // A first start prices the demo call by its tokenizer: a third of a second of work, done while the store's threads start. Should it
    // fail, the same failure meets whoever waits for it.
    if (!hasCredentials(config.dataDir)) loadDemoTokenizer(tokenizers).catch(() => undefined);
    const startId = ids.next('start');
    const tracing = await openTracing({ config: config.traces, metrics, instanceId: startId, log });
    closers.add('traces', () => tracing?.tracer.close());
    const { store, isShared } = await openStore({ config, nodeId: startId, systemClock, ...pickStoreOverrides(overrides), log, onLost });
    closers.add('store', () => store.close());
    const { secretBox, keyHashSecret, source } = await openSecrets({ dataDir: config.dataDir, configured: config, store, ids });
    const hasher = makeHmacKeyHasher({ secret: keyHashSecret });
    const prepared = await prepareStore({ config, store, clock, ids, hasher, secretBox, tokenizers, startId });
    refuseWeakOperatorKey(prepared.credentials.operator_key, [config.runtime, config.admin]);
    for (const notice of prepared.notices) log.warn({}, notice);
    const run = isBeside ? beginBeside(config.dataDir, ids, closers) : beginRun({ dataDir: config.dataDir, ids, isLocked: lock !== null });
    const failpoints = overrides.failpoints ?? { hit: () => undefined };
    const { operator_key: operatorKey } = prepared.credentials;
    const fromConfig = {
      gateway: config.gateway,
      retention: config.retention,
      sealedKeys: config.sealedKeys,
      declared: makeDeclaredFields(config.declared),
      billing: config.billing,
      containers: config.containers,
      operatorKey,
    };
    const isStoreLost = (): boolean => lostBecause !== null;
    const { dataDir } = config;
    const { ownerId } = run;
    const masterKeys = makeMasterKeys({ ring: secretBox, source, dataDir, isShared, ownerId, records: store, failpoints });
    closers.add('sealing key', followSealingKey({ ring: secretBox, records: store, isShared }));
    const server = {
      version: programVersion(),
      runId: ownerId,
      store: isShared ? 'postgres' : 'sqlite',
      masterKeySource: source,
      masterKeyId: (): string => secretBox.sealingId,
    } as const;
    const deps: ComposeDeps = {
      store,
      isShared,
      isStoreLost,
      run,
      hasher,
      secretBox,
      masterKeys,
      server,
      tokenizers,
      clock,
      ids,
      failpoints,
      ...fromConfig,
      trail: openTrail(dataDir, keyHashSecret),
      billTokens: makeBillTokens(keyHashSecret),
      onRotated: keepRotated({ dataDir, hasher, log }),
      log,
      closers,
      telemetry: { metrics, config: config.metrics, tracing },
    };
    const parts = await compose(deps);
    const listeners = await openListeners({
      config,
      deps,
      parts,
      timeouts: overrides.clientTimeouts ?? CLIENT_TIMEOUTS,
      sockets: handover?.sockets ?? null,
    });
    if (isChangeInterrupted(dataDir, source)) endInterruptedChange(parts.rotateMasterKey, log);
    log.info({ runtime: listeners.runtime.origin, admin: listeners.admin.origin, run: run.ownerId, pid: process.pid }, 'castellan is up');
    const stop = (): Promise<void> => closers.closeAll();
    return {
      listeners,
      prepared,
      log,
      storeLost,
      isShared,
      sockets: () => socketsOf(config, listeners),
      retire: async () => {
        const { admin, runtime, ingress, ssh } = listeners;
        const all = [admin, runtime, ingress, ssh].filter((listener) => listener !== null);
        await Promise.all(all.map((listener) => listener.retire(config.gateway.drainMs)));
        await stop();
      },
      stop,
    };
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}

/** The run of a process that takes over beside another: it has the folder to itself once the other has ended. */
function beginBeside(dataDir: string, ids: Ids, closers: Closers): RunIdentity {
  const ownerId = ids.next('run');
  closers.add(
    'run lock',
    adoptRunLock(dataDir, () => rememberRun(dataDir, ownerId)),
  );
  return { ownerId, deadOwnerId: null };
}

function socketsOf(config: Config, listeners: Listeners): BoundSocket[] | null {
  const bound: BoundSocket[] = [];
  for (const name of ['runtime', 'admin', 'ingress', 'ssh'] as const) {
    const listener = listeners[name];
    if (listener === null) continue;
    const handle = listener.socket();
    if (handle === null) return null;
    bound.push({ name, ...config[name], handle });
  }
  return bound;
}

const pickStoreOverrides = ({ clock, failpoints, failpointsModule }: Overrides) => ({ clock, failpoints, failpointsModule });

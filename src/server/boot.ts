import { refuseUnfinishedRestore } from './backup/unfinished-restore.ts';
import { endInterruptedChange, followSealingKey, isChangeInterrupted, makeMasterKeys } from './change-master-key.ts';
import { makeClosers } from './closers.ts';
import { compose, type ComposeDeps } from './compose.ts';
import { type Config, refuseWeakOperatorKey } from './config.ts';
import { hasCredentials } from './credentials.ts';
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
import { beginRun, takeRunLock } from './run-identity.ts';
import { makeHmacKeyHasher } from './secrets/hmac-key-hasher.ts';
import { makeSystemClock } from './secrets/system-clock.ts';
import { makeSystemIds } from './secrets/system-ids.ts';
import { programVersion } from './version.ts';
import { makeTokenizers } from '../upstreams/tokenizers/tokenizers.ts';

/** A program that serves. */
export interface Running {
  readonly listeners: Listeners;
  readonly prepared: Prepared;
  readonly log: ProcessLog;
  /** Resolves with the cause where the store stops for good: nothing can be booked from then on, and only a new start mends it. */
  readonly storeLost: Promise<Error>;
  /** Ends gracefully: nothing new is taken, what is in flight is finished and settled, everything is closed. Safe to call again. */
  stop(): Promise<void>;
}

/**
 * Starts the program, a step a line. A step that fails closes what the steps before it opened.
 *
 * Throws a `ConfigError` or a store's `StoreRefusal`, each one sentence for the operator, or a `Fault` where the store cannot be reached.
 */
export async function boot(config: Config, overrides: Overrides = {}): Promise<Running> {
  const log = overrides.log ?? makeProcessLog({ level: config.logLevel });
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
    const lock = takeRunLock(config.dataDir);
    closers.add('run lock', () => lock?.release());
    // A first start prices the demo call by its tokenizer: a third of a second of work, done while the store's threads start. Should it
    // fail, the same failure meets whoever waits for it.
    if (!hasCredentials(config.dataDir)) loadDemoTokenizer(tokenizers).catch(() => undefined);
    const startId = ids.next('start');
    const { store, isShared } = await openStore({ config, nodeId: startId, systemClock, ...pickStoreOverrides(overrides), log, onLost });
    closers.add('store', () => store.close());
    const { secretBox, keyHashSecret, source } = await openSecrets({ dataDir: config.dataDir, configured: config, store, ids });
    const hasher = makeHmacKeyHasher({ secret: keyHashSecret });
    const prepared = await prepareStore({ config, store, clock, ids, hasher, secretBox, tokenizers, startId });
    refuseWeakOperatorKey(prepared.credentials.operator_key, [config.runtime, config.admin]);
    for (const notice of prepared.notices) log.warn({}, notice);
    const run = beginRun({ dataDir: config.dataDir, ids, isLocked: lock !== null });
    const failpoints = overrides.failpoints ?? { hit: () => undefined };
    const { operator_key: operatorKey } = prepared.credentials;
    const fromConfig = { gateway: config.gateway, declared: makeDeclaredFields(config.declared), operatorKey };
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
      log,
      closers,
    };
    const parts = await compose(deps);
    const listeners = await openListeners({ config, deps, parts, timeouts: overrides.clientTimeouts ?? CLIENT_TIMEOUTS });
    if (isChangeInterrupted(dataDir, source)) endInterruptedChange(parts.rotateMasterKey, log);
    log.info({ runtime: listeners.runtime.origin, admin: listeners.admin.origin, run: run.ownerId }, 'castellan is up');
    return { listeners, prepared, log, storeLost, stop: () => closers.closeAll() };
  } catch (error) {
    await closers.closeAll();
    throw error;
  }
}

const pickStoreOverrides = ({ clock, failpoints, failpointsModule }: Overrides) => ({ clock, failpoints, failpointsModule });

import type { Clock } from '../ports/clock.ts';
import type { Failpoints } from '../ports/failpoints.ts';
import type { LedgerStore } from '../ports/ledger-store.ts';
import type { Log } from '../ports/log.ts';
import type { RecordStore } from '../ports/record-store.ts';
import type { WebhookStore } from '../ports/webhook-store.ts';
import type { Config } from './config.ts';

/** A store with what tells apart how it may be used. `isShared`: other processes may have it open as well. */
export interface OpenedStore {
  readonly store: LedgerStore & RecordStore & WebhookStore;
  readonly isShared: boolean;
}

/**
 * Opens the store that the configuration asks for. Each adapter is loaded only where it is used. `clock` replaces the store's own idea
 * of time; `onLost` is called where an embedded store stops for good; `failpoints` and `failpointsModule` reach into its batches: only tests give them.
 */
export async function openStore(options: {
  config: Pick<Config, 'dataDir' | 'databaseUrl'>;
  nodeId: string;
  systemClock: Clock;
  clock: Clock | undefined;
  failpoints: Failpoints | undefined;
  failpointsModule: string | undefined;
  log: Log;
  onLost: (error: Error) => void;
}): Promise<OpenedStore> {
  const { config, log } = options;
  if (config.databaseUrl === null) {
    const { openSqliteStore } = await import('../stores/sqlite/open-sqlite-store.ts');
    const store = await openSqliteStore({
      dataDir: config.dataDir,
      clock: options.clock ?? options.systemClock,
      ...(options.failpointsModule === undefined ? {} : { failpointsModule: options.failpointsModule }),
      log,
      onLost: options.onLost,
    });
    return { store, isShared: false };
  }
  const { openPostgresStore } = await import('../stores/postgres/open-postgres-store.ts');
  const store = await openPostgresStore({
    url: config.databaseUrl,
    nodeId: options.nodeId,
    ...(options.clock === undefined ? {} : { clock: options.clock }),
    ...(options.failpoints === undefined ? {} : { failpoints: options.failpoints }),
    log: { warn: (message) => log.warn({}, message) },
  });
  return { store, isShared: true };
}

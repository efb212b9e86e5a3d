import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { boot, type Running } from '../../src/server/boot.ts';
import { readConfig } from '../../src/server/config.ts';
import type { Overrides } from '../../src/server/overrides.ts';
import type { ProcessLog } from '../../src/server/logging.ts';
import { makeSystemClock } from '../../src/server/secrets/system-clock.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import type { LedgerStore } from '../../src/ports/ledger-store.ts';
import type { RecordStore } from '../../src/ports/record-store.ts';

/** A log that keeps its lines. */
export function recordingLog(): ProcessLog & { readonly lines: { fields: Readonly<Record<string, unknown>>; message: string }[] } {
  const lines: { fields: Readonly<Record<string, unknown>>; message: string }[] = [];
  const line = (fields: Readonly<Record<string, unknown>>, message: string): void => void lines.push({ fields, message });
  return { lines, debug: line, info: line, warn: line, error: line, flush: () => undefined };
}

/** A data folder of a test, with programs that start and stop on it inside the test's process. */
export interface TestFolder {
  readonly dataDir: string;
  /** Starts a program on free ports; with `yaml` it gets that configuration file. */
  start(options?: { yaml?: string; env?: NodeJS.ProcessEnv; overrides?: Overrides }): Promise<Running>;
  /** Opens the store while no program runs on it. */
  withStore<T>(use: (store: LedgerStore & RecordStore) => Promise<T>): Promise<T>;
  /** Where `start` writes the configuration file. */
  readonly configPath: string;
  dispose(): Promise<void>;
}

export function makeTestFolder(): TestFolder {
  const root = mkdtempSync(join(tmpdir(), 'castellan-boot-'));
  const dataDir = join(root, 'data');
  const configPath = join(root, 'castellan.yaml');
  const running = new Set<Running>();
  return {
    dataDir,
    configPath,
    start: async ({ yaml, env = {}, overrides = {} } = {}) => {
      if (yaml !== undefined) writeFileSync(configPath, yaml);
      const config = await readConfig({
        CASTELLAN_DATA_DIR: dataDir,
        CASTELLAN_RUNTIME_PORT: '0',
        CASTELLAN_ADMIN_PORT: '0',
        ...(yaml === undefined ? {} : { CASTELLAN_CONFIG: configPath }),
        ...env,
      });
      const started = await boot(config, { log: recordingLog(), ...overrides });
      running.add(started);
      return started;
    },
    withStore: async (use) => {
      const store = await openSqliteStore({ dataDir, clock: makeSystemClock() });
      try {
        return await use(store);
      } finally {
        await store.close();
      }
    },
    dispose: async () => {
      for (const each of running) await each.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Verification } from '../../src/ports/ledger-store.ts';
import { verifyStore } from '../../src/server/verify-store.ts';
import { killEnvironment, type KillPlan } from './kill-at-failpoint.ts';
import { makeStoreReader, type StoreReader, type TestStore } from './store-reader.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const START_TIMEOUT_MS = 30_000;
const UP = /Castellan is up\.\n +data plane +(\S+)[^\n]*\n +control plane +(\S+)[^\n]*(?:\n +ingress +(\S+))?/;

/** What `credentials.json` of a data folder holds after a first start. */
export interface TestCredentials {
  readonly operator_key: string;
  readonly tenant: string;
  readonly admin_key: string;
  readonly management_key: string;
  readonly demo_key: string;
}

/** How a server is started. */
export interface ServerOptions {
  readonly store: TestStore;
  /** Text of a configuration file. */
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Gives clients this long for their headers, and twice that for a whole request, by the tests' composition root. */
  readonly slowClientMs?: number;
  /** A folder to use instead of a temporary one; it is left in place. */
  readonly dataDir?: string;
}

/** How one process of a server ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A server of a test: one data folder, and the process that runs on it now. Each process listens on other ports. */
export interface TestServer {
  readonly store: TestStore;
  readonly dataDir: string;
  /** Origin of the data plane of the process that started last, such as `http://127.0.0.1:1234`. */
  readonly runtime: string;
  /** Origin of the control plane. */
  readonly admin: string;
  /** Origin of the ingress; empty where no container host is declared. */
  readonly ingress: string;
  readonly pid: number;
  credentials(): TestCredentials;
  /** What all processes of this server wrote so far. */
  stdout(): string;
  stderr(): string;
  /** Starts a process, which must not run, and waits until it is ready. With `kill` it has the tests' failpoints. */
  start(options?: { readonly kill?: KillPlan; readonly env?: Readonly<Record<string, string>> }): Promise<void>;
  /** Starts a process without waiting for anything but its end. */
  launch(options?: { readonly kill?: KillPlan; readonly env?: Readonly<Record<string, string>> }): void;
  /** Resolves when the process that runs now has ended. */
  ended(): Promise<Exit>;
  /** Sends a signal to the process. */
  signal(name: NodeJS.Signals): void;
  /** Ends the process by SIGTERM and waits for it. */
  stop(): Promise<Exit>;
  /** Ends the process by SIGKILL and waits for it. */
  kill(): Promise<Exit>;
  /** Recomputes the books and the audit trail as `castellan verify --offline` does; the process should have ended. */
  verify(): Promise<Verification>;
  reader(): StoreReader;
  /** Ends the process, if one runs, and removes what was made for it. */
  dispose(): Promise<void>;
}

/** Makes a server and starts it. */
export async function startServer(options: ServerOptions): Promise<TestServer> {
  const server = makeServer(options);
  try {
    await server.start();
  } catch (error) {
    await server.dispose();
    throw error;
  }
  return server;
}

/** Makes a server without starting a process. */
export function makeServer(options: ServerOptions): TestServer {
  const { store } = options;
  const folder = mkdtempSync(join(tmpdir(), 'castellan-server-'));
  const dataDir = options.dataDir ?? join(folder, 'data');
  mkdirSync(dataDir, { recursive: true });
  const configFile = join(folder, 'castellan.yaml');
  if (options.config !== undefined) writeFileSync(configFile, options.config);
  const environment: Record<string, string> = {
    PATH: process.env['PATH'] ?? '',
    // Many starts of the same sources: compiling them once halves each.
    NODE_COMPILE_CACHE: join(tmpdir(), 'castellan-test-compile-cache'),
    CASTELLAN_DATA_DIR: dataDir,
    CASTELLAN_RUNTIME_PORT: '0',
    CASTELLAN_ADMIN_PORT: '0',
    CASTELLAN_INGRESS_PORT: '0',
    CASTELLAN_SSH_PORT: '0',
    ...(options.config === undefined ? {} : { CASTELLAN_CONFIG: configFile }),
    ...(store.kind === 'postgres' ? { DATABASE_URL: store.url } : {}),
    ...(options.slowClientMs === undefined ? {} : { TEST_SLOW_CLIENT_MS: String(options.slowClientMs) }),
    ...options.env,
  };
  const output = { stdout: '', stderr: '' };
  let child: ChildProcess | null = null;
  let exit: Promise<Exit> | null = null;
  let origins = { runtime: '', admin: '', ingress: '' };
  // A test run that breaks off takes its servers with it.
  const killChild = (): void => void child?.kill('SIGKILL');
  process.on('exit', killChild);

  const launch: TestServer['launch'] = ({ kill, env = {} } = {}) => {
    if (child !== null) throw new Error('the server runs already');
    const main = kill === undefined && options.slowClientMs === undefined ? 'src/server/main.ts' : 'test/support/failpoint-main.ts';
    const started = spawn(process.execPath, [join(ROOT, main)], {
      cwd: folder,
      env: { ...environment, ...env, ...(kill === undefined ? {} : killEnvironment(kill)) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    started.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
    started.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
    exit = once(started, 'close').then(([code, signal]) => {
      child = null;
      return { code: code as number | null, signal: signal as NodeJS.Signals | null };
    });
  };

  const ended = (): Promise<Exit> => {
    if (exit === null) throw new Error('the server was never started');
    return exit;
  };

  /** Waits for the sentence that a start prints when both listeners are open. */
  const untilUp = async (printedBefore: number): Promise<void> => {
    const started = child;
    const up = new Promise<void>((resolve, reject) => {
      const look = (): void => {
        const found = UP.exec(output.stdout.slice(printedBefore));
        if (found === null) return;
        origins = { runtime: found[1] ?? '', admin: found[2] ?? '', ingress: found[3] ?? '' };
        resolve();
      };
      started?.stdout?.on('data', look);
      const fail = (why: string) => (): void => reject(new Error(`the server ${why}:\n${output.stdout}\n${output.stderr}`));
      started?.once('close', fail('ended while it started'));
      setTimeout(fail('did not get ready'), START_TIMEOUT_MS).unref();
    });
    await up;
  };

  return {
    store,
    dataDir,
    get runtime() {
      return origins.runtime;
    },
    get ingress() {
      return origins.ingress;
    },
    get admin() {
      return origins.admin;
    },
    get pid() {
      return child?.pid ?? 0;
    },
    credentials: () => JSON.parse(readFileSync(join(dataDir, 'credentials.json'), 'utf8')) as TestCredentials,
    stdout: () => output.stdout,
    stderr: () => output.stderr,
    start: async (startOptions) => {
      const printed = output.stdout.length;
      launch(startOptions);
      await untilUp(printed);
    },
    launch,
    ended,
    signal: (name) => void child?.kill(name),
    stop: () => {
      child?.kill('SIGTERM');
      return ended();
    },
    kill: () => {
      child?.kill('SIGKILL');
      return ended();
    },
    verify: () => verifyStore({ dataDir, databaseUrl: store.kind === 'postgres' ? store.url : null }),
    reader: () => makeStoreReader(store, dataDir),
    dispose: async () => {
      killChild();
      await exit;
      process.off('exit', killChild);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

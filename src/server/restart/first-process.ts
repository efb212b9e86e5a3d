import { randomUUID } from 'node:crypto';
import type { Log } from '../../ports/log.ts';
import type { Running } from '../boot.ts';
import type { Config } from '../config.ts';
import type { Overrides } from '../overrides.ts';
import { startChildServer, type ChildServer } from './child-server.ts';
import { GIVE_LIMIT_MS, makeOwnServer, makeServerOfChild, START_LIMIT_MS, type Server } from './servers.ts';
import { makeRestartNotes } from './restart-note.ts';
import { SocketCase, type BoundSocket } from './sockets.ts';

/** What a new process may take to read its configuration. */
const PREPARE_LIMIT_MS = 60_000;

/** The process that was started by the system, and stays what the system watches, whoever serves. */
export interface FirstProcess {
  /** Replaces whoever serves by a new process. Never rejects; one at a time, later calls meanwhile do nothing. */
  restart(): Promise<void>;
  /** Whether these parts are what serves now, so that their end is the program's. */
  isServing(running: Running): boolean;
  /** Ends everything gracefully; the code to exit with. */
  stop(): Promise<number>;
  /** Resolves with the code to exit with where nobody serves any more: the process that did has ended, and nobody asked it to. */
  readonly ended: Promise<number>;
}

/** What the first process is made of: its configuration, and the parts `first` that run in this very process. */
export interface FirstProcessOptions {
  readonly config: Config;
  readonly overrides: Overrides;
  readonly first: Running;
  readonly log: Log;
  /** Called with the parts that run in this process anew, after a restart that did not come about. */
  readonly onRunning: (running: Running) => void;
}

/**
 * Makes the {@link FirstProcess}.
 *
 * It starts the new process beside the old one, hands the listening sockets over, and only when the new one serves makes the old one
 * retire. Where the store takes one process at a time, the old one lets go of it first; who connects meanwhile waits in the queue of the
 * sockets, which this process keeps. Where the new one does not start, the old one serves on, or again.
 */
export function makeFirstProcess(options: FirstProcessOptions): FirstProcess {
  const { log } = options;
  const { isShared } = options.first;
  const held = new SocketCase();
  const note = makeRestartNotes(options.config.dataDir, log);
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  /** Those that finish what they began. */
  const leaving = new Set<Server>();
  let current: Server = makeOwnServer({ ...options, held });
  let starting: ChildServer | null = null;
  let restarting: Promise<void> | null = null;
  let isStopping = false;

  /** Lets a new process serve; `old` serves again, or on, where that fails. */
  const startBeside = async (next: ChildServer, old: Server, sockets: readonly BoundSocket[]): Promise<void> => {
    let isSuspended = false;
    try {
      await next.ask({ type: 'prepare' }, 'prepared', PREPARE_LIMIT_MS);
      for (const socket of sockets) await next.give(socket, GIVE_LIMIT_MS);
      isSuspended = !isShared;
      if (isSuspended) await old.suspend();
      await next.ask({ type: 'go', isBeside: isShared }, 'serving', START_LIMIT_MS);
    } catch (error) {
      next.kill('SIGKILL');
      await next.exited;
      if (isSuspended && !isStopping) await resume(old);
      throw error;
    }
  };

  const resume = (old: Server): Promise<void> =>
    old.resume().catch((err: unknown) => {
      log.error({ err }, 'restart: the old process cannot serve again either');
      end(1);
    });

  const dismiss = async (old: Server): Promise<void> => {
    leaving.add(old);
    await old.dismiss().catch((err: unknown) => log.error({ err }, 'restart: the old process did not end as it should'));
    leaving.delete(old);
  };

  const replace = async (id: string): Promise<void> => {
    const old = current;
    note({ id, pid: 0, state: 'starting' });
    const sockets = old.sockets();
    if (sockets === null) throw new Error('a listener on localhost has two sockets: set CASTELLAN_HOST to an address, such as 127.0.0.1');
    const next = startChildServer({ onSocket: (socket) => held.put(socket), onRestart: () => void restart() });
    log.info({ pid: next.pid }, 'restart: a new process is starting, and the old one serves until it is ready');
    starting = next;
    await startBeside(next, old, sockets).finally(() => (starting = null));
    const server = makeServerOfChild(next, held);
    current = server;
    void next.exited.then(({ code, signal }) => {
      if (isStopping || current !== server) return;
      log.error({ pid: next.pid, code, signal }, 'the process that serves has ended');
      end(code === null || code === 0 ? 1 : code);
    });
    void dismiss(old);
    log.info({ pid: next.pid }, 'restart: the new process serves, and the old one finishes what it began');
    note({ id, pid: next.pid, state: 'serving' });
  };

  const restart = (): Promise<void> => {
    if (isStopping) return Promise.resolve();
    if (restarting !== null) return restarting;
    const id = randomUUID();
    restarting = replace(id)
      .catch((err: unknown) => {
        if (!isStopping) log.error({ err }, 'restart: the new process did not start, and the old one carries on');
        note({ id, pid: 0, state: 'failed', reason: err instanceof Error ? err.message : 'for a reason that is in the log' });
      })
      .finally(() => (restarting = null));
    return restarting;
  };

  return {
    restart,
    isServing: (running) => current.has(running),
    ended,
    stop: async () => {
      isStopping = true;
      starting?.kill('SIGTERM');
      const [code = 1] = await Promise.all([current, ...leaving].map((server) => server.stop()));
      return code;
    },
  };
}

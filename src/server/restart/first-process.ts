import type { Log } from '../../ports/log.ts';
import { boot, type Running } from '../boot.ts';
import type { Config } from '../config.ts';
import type { Overrides } from '../overrides.ts';
import { startChildServer, type ChildServer } from './child-server.ts';
import { SocketCase, type BoundSocket } from './sockets.ts';

/** What a new process may take to read its configuration, and to be ready after that: migrations and a first look at the store included. */
const PREPARE_LIMIT_MS = 60_000;
const START_LIMIT_MS = 180_000;
const GIVE_LIMIT_MS = 10_000;

/** Who serves: this process, or one that it started. */
type Server = { readonly kind: 'own'; readonly running: Running } | { readonly kind: 'child'; readonly child: ChildServer };

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

/**
 * Makes the {@link FirstProcess} of a program whose parts `first` run in this very process.
 *
 * It starts the new process beside the old one, hands the listening sockets over, and only when the new one serves makes the old one
 * retire. Where the store takes one process at a time, the old one lets go of it first; who connects meanwhile waits in the queue of the
 * sockets, which this process keeps. Where the new one does not start, the old one serves on, or again.
 */
export function makeFirstProcess(options: {
  readonly config: Config;
  readonly overrides: Overrides;
  readonly first: Running;
  readonly log: Log;
  readonly onRunning: (running: Running) => void;
}): FirstProcess {
  // The parts are not kept: once another process serves, they go.
  const { config, overrides, log, onRunning } = options;
  const { isShared } = options.first;
  const held = new SocketCase();
  const { promise: ended, resolve: end } = Promise.withResolvers<number>();
  /** Those that finish what they began. */
  const leaving = new Set<Server>();
  let current: Server = { kind: 'own', running: options.first };
  let starting: ChildServer | null = null;
  let restarting: Promise<void> | null = null;
  let isStopping = false;

  const leave = async (server: Server, work: Promise<unknown>): Promise<void> => {
    leaving.add(server);
    try {
      await work;
    } catch (err) {
      log.error({ err }, 'restart: the old process did not end as it should');
    }
    leaving.delete(server);
  };

  /** Lets the old one serve again after it has let go of the store. */
  const resume = async (server: Server): Promise<Server> => {
    if (server.kind === 'child') {
      await serveBy(server.child, held.all(), false);
      return server;
    }
    const running = await boot(config, overrides, { sockets: held, isBeside: false });
    onRunning(running);
    return { kind: 'own', running };
  };

  const resumeOrEnd = async (old: Server): Promise<void> => {
    try {
      current = await resume(old);
    } catch (err) {
      log.error({ err }, 'restart: the old process cannot serve again either');
      end(1);
    }
  };

  /** Lets the old one end, once another serves. */
  const dismiss = (server: Server): void => {
    if (server.kind === 'own') void leave(server, isShared ? server.running.retire() : Promise.resolve());
    else void leave(server, Promise.all([server.child.tell({ type: isShared ? 'retire' : 'end' }), server.child.exited]));
  };

  const watch = (child: ChildServer): void =>
    void child.exited.then(({ code, signal }) => {
      if (isStopping || current.kind !== 'child' || current.child !== child) return;
      log.error({ pid: child.pid, code, signal }, 'the process that serves has ended');
      end(code === null || code === 0 ? 1 : code);
    });

  const replace = async (): Promise<void> => {
    const sockets = current.kind === 'own' ? current.running.sockets() : held.all();
    if (sockets === null) throw new Error('a listener on localhost has two sockets: set CASTELLAN_HOST to an address, such as 127.0.0.1');
    const next = startChildServer({ onSocket: (socket) => held.put(socket), onRestart: () => void restart() });
    starting = next;
    const old = current;
    let isSuspended = false;
    try {
      log.info({ pid: next.pid }, 'restart: a new process is starting, and the old one serves until it is ready');
      await next.ask({ type: 'prepare' }, 'prepared', PREPARE_LIMIT_MS);
      for (const socket of sockets) await next.give(socket, GIVE_LIMIT_MS);
      if (!isShared) {
        isSuspended = true;
        await suspend(old);
      }
      await next.ask({ type: 'go', isBeside: isShared }, 'serving', START_LIMIT_MS);
    } catch (error) {
      next.kill('SIGKILL');
      await next.exited;
      if (isSuspended && !isStopping) await resumeOrEnd(old);
      throw error;
    } finally {
      starting = null;
    }
    current = { kind: 'child', child: next };
    watch(next);
    dismiss(old);
    log.info({ pid: next.pid }, 'restart: the new process serves, and the old one finishes what it began');
  };

  const restart = (): Promise<void> => {
    if (isStopping) return Promise.resolve();
    restarting ??= replace()
      .catch((err: unknown) => {
        if (!isStopping) log.error({ err }, 'restart: the new process did not start, and the old one carries on');
      })
      .finally(() => (restarting = null));
    return restarting;
  };

  return {
    restart,
    isServing: (running) => current.kind === 'own' && current.running === running,
    ended,
    stop: async () => {
      isStopping = true;
      starting?.kill('SIGTERM');
      const codes = await Promise.all([current, ...leaving].map(stopServer));
      return codes[0] ?? 1;
    },
  };
}

/** Lets the old one let go of the store, for it may serve again. */
const suspend = (server: Server): Promise<void> =>
  server.kind === 'own' ? server.running.stop() : server.child.ask({ type: 'suspend' }, 'suspended', START_LIMIT_MS);

async function stopServer(server: Server): Promise<number> {
  if (server.kind === 'own') {
    await server.running.stop();
    return 0;
  }
  server.child.kill('SIGTERM');
  return (await server.child.exited).code ?? 1;
}

async function serveBy(child: ChildServer, sockets: readonly BoundSocket[], isBeside: boolean): Promise<void> {
  for (const socket of sockets) await child.give(socket, GIVE_LIMIT_MS);
  await child.ask({ type: 'go', isBeside }, 'serving', START_LIMIT_MS);
}

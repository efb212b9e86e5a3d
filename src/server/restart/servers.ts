import { boot, type Running } from '../boot.ts';
import type { Config } from '../config.ts';
import type { Overrides } from '../overrides.ts';
import type { ChildServer } from './child-server.ts';
import type { BoundSocket, SocketCase } from './sockets.ts';

/** What a process may take to be ready: migrations and a first look at the store included. */
export const START_LIMIT_MS = 180_000;
export const GIVE_LIMIT_MS = 10_000;

/** Who serves, or finishes what it began: this process, or one that it started. */
export interface Server {
  /** The sockets to hand over; null where they cannot be. */
  sockets(): readonly BoundSocket[] | null;
  /** Finishes and lets go of the store, ready to serve again. */
  suspend(): Promise<void>;
  /** Serves again after {@link Server.suspend}; rejects where that is not possible. */
  resume(): Promise<void>;
  /** Ends, now that another serves: after what is in flight where it still serves, at once where it was suspended. */
  dismiss(): Promise<void>;
  /** Ends as at a stop of the program; the code to exit with. */
  stop(): Promise<number>;
  /** Whether these parts are the ones of this server that serve now. */
  has(running: Running): boolean;
}

/** The server in this very process. Its parts are not kept beyond their end. */
export function makeOwnServer(options: {
  readonly config: Config;
  readonly overrides: Overrides;
  readonly first: Running;
  readonly held: SocketCase;
  readonly onRunning: (running: Running) => void;
}): Server {
  const { config, overrides, held, onRunning } = options;
  let running: Running | null = options.first;
  const stop = async (): Promise<void> => {
    await running?.stop();
    running = null;
  };
  return {
    sockets: () => running?.sockets() ?? null,
    suspend: stop,
    resume: async () => {
      running = await boot(config, overrides, { sockets: held, isBeside: false });
      onRunning(running);
    },
    dismiss: async () => {
      await running?.retire();
      running = null;
    },
    stop: () => stop().then(() => 0),
    has: (parts) => running === parts,
  };
}

/** The server in a process that this one started; its sockets are those that it sent back. */
export function makeServerOfChild(child: ChildServer, held: SocketCase): Server {
  let isSuspended = false;
  return {
    sockets: () => held.all(),
    suspend: async () => {
      isSuspended = true;
      await child.ask({ type: 'suspend' }, 'suspended', START_LIMIT_MS);
    },
    resume: async () => {
      for (const socket of held.all()) await child.give(socket, GIVE_LIMIT_MS);
      await child.ask({ type: 'go', isBeside: false }, 'serving', START_LIMIT_MS);
      isSuspended = false;
    },
    dismiss: async () => {
      await child.tell({ type: isSuspended ? 'end' : 'retire' });
      await child.exited;
    },
    stop: async () => {
      child.kill('SIGTERM');
      return (await child.exited).code ?? 1;
    },
    has: () => false,
  };
}

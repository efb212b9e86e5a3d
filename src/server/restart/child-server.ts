import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { successorEnvironment } from '../config.ts';
import { channelOver, type Channel, type FromSuccessor, type ToSuccessor } from './messages.ts';
import type { BoundSocket } from './sockets.ts';

/** How a process ended. */
export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process that was started to serve. */
export interface ChildServer {
  readonly pid: number;
  /** Resolves when it has ended. */
  readonly exited: Promise<ChildExit>;
  /** Sends a message and waits for the answer of type `answer`; rejects where the process ends first, or after `limitMs`. */
  ask(message: ToSuccessor, answer: FromSuccessor['type'], limitMs: number): Promise<void>;
  /** Gives it a socket, and resolves when it has sent it back. */
  give(socket: BoundSocket, limitMs: number): Promise<void>;
  tell(message: ToSuccessor): Promise<void>;
  kill(signal: NodeJS.Signals): void;
}

const describeExit = ({ code, signal }: ChildExit): string =>
  signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`;

/**
 * Starts the program once more, as it is on the disk now, with the arguments and the environment of this one. `onSocket` gets each socket
 * that it sends back, `onRestart` is called where somebody asked it for a restart.
 */
export function startChildServer(options: {
  readonly onSocket: (socket: BoundSocket) => void;
  readonly onRestart: () => void;
}): ChildServer {
  const [, script = '', ...args] = process.argv;
  const child: ChildProcess = fork(script, args, { env: successorEnvironment(), stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  const channel: Channel<ToSuccessor, FromSuccessor> = channelOver(child);
  const exited = once(child, 'exit').then(([code, signal]): ChildExit => ({
    code: code as number | null,
    signal: signal as NodeJS.Signals | null,
  }));
  const waiting = new Map<FromSuccessor['type'], () => void>();

  channel.onMessage((message, handle) => {
    if (message.type === 'socket' && handle !== undefined) {
      const { name, host, port } = message;
      options.onSocket({ name, host, port, handle });
    }
    if (message.type === 'restart') options.onRestart();
    waiting.get(message.type)?.();
  });

  const ask = async (send: () => Promise<void>, answer: FromSuccessor['type'], limitMs: number): Promise<void> => {
    const { promise: answered, resolve, reject } = Promise.withResolvers<void>();
    waiting.set(answer, resolve);
    const timer = setTimeout(() => reject(new Error(`it was not ${answer} within ${limitMs / 1000} seconds`)), limitMs);
    void exited.then((exit) => reject(new Error(describeExit(exit))));
    try {
      await send();
      await answered;
    } finally {
      clearTimeout(timer);
      waiting.delete(answer);
    }
  };

  return {
    pid: child.pid ?? 0,
    exited,
    ask: (message, answer, limitMs) => ask(() => channel.send(message), answer, limitMs),
    give: ({ handle, ...socket }, limitMs) => ask(() => channel.send({ type: 'socket', ...socket }, handle), 'socket', limitMs),
    tell: (message) => channel.send(message),
    kill: (signal) => void child.kill(signal),
  };
}

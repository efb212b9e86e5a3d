import { boot, type Running } from '../boot.ts';
import { type Config, readConfig } from '../config.ts';
import type { Overrides } from '../overrides.ts';
import { channelOver, type FromSuccessor, type ToSuccessor } from './messages.ts';
import { SocketCase } from './sockets.ts';

/** A process that the first one started, to serve in the place of another. */
export interface Successor {
  /** The parts that run now, or null. */
  readonly running: () => Running | null;
  /** How long its configuration lets a stop wait for requests, in milliseconds. */
  readonly drainMs: () => number;
  /** Resolves when the process is to end: it was told to, or the first one is gone. Rejects where a start failed. */
  readonly ended: Promise<void>;
}

/**
 * Does what the first process says: reads the configuration, takes the sockets, serves, and in the end makes room for the next. Sends each
 * socket back, so that the first process has it after its own is closed, or after a later one could not start.
 */
export function makeSuccessor(options: { readonly overrides: Overrides; readonly onServing: (running: Running) => void }): Successor {
  const channel = channelOver<FromSuccessor, ToSuccessor>(process);
  const sockets = new SocketCase();
  const { promise: ended, resolve: end, reject: fail } = Promise.withResolvers<void>();
  let config: Config | null = null;
  let running: Running | null = null;

  const serve = async (isBeside: boolean): Promise<void> => {
    config ??= await readConfig();
    const inherited = new Set(sockets.all().map(({ name }) => name));
    running = await boot(config, options.overrides, { sockets, isBeside });
    options.onServing(running);
    for (const { handle, ...socket } of running.sockets() ?? []) {
      if (!inherited.has(socket.name)) await channel.send({ type: 'socket', ...socket }, handle);
    }
    await channel.send({ type: 'serving' });
  };

  const act = async (message: ToSuccessor): Promise<void> => {
    switch (message.type) {
      case 'socket':
        return;
      case 'prepare':
        config = await readConfig();
        return channel.send({ type: 'prepared' });
      case 'go':
        return serve(message.isBeside);
      case 'retire':
        await running?.retire();
        return end();
      case 'suspend':
        await running?.stop();
        running = null;
        return channel.send({ type: 'suspended' });
      case 'end':
        return end();
    }
  };

  channel.onMessage((message, handle) => {
    if (message.type === 'socket' && handle !== undefined) {
      const { name, host, port } = message;
      sockets.put({ name, host, port, handle });
      channel.send(message, handle).catch(fail);
      return;
    }
    act(message).catch(fail);
  });
  process.on('disconnect', () => end());
  // The first process restarts; whoever has found this one's number gets there as well.
  if (process.platform !== 'win32') process.on('SIGUSR2', () => void channel.send({ type: 'restart' }).catch(() => undefined));
  return { running: () => running, drainMs: () => config?.gateway.drainMs ?? 0, ended };
}

import type { BoundSocket, SocketHandle } from './sockets.ts';

/** A socket's description; the socket itself goes beside the message. */
export type SocketMessage = { readonly type: 'socket' } & Omit<BoundSocket, 'handle'>;

/**
 * What the first process tells one that it started: to read its configuration (`prepare`); to serve (`go`), `isBeside` another process on
 * the same store or alone; to accept nothing new, finish and end (`retire`); to finish, let go of the store and wait (`suspend`); to end.
 */
export type ToSuccessor =
  | SocketMessage
  | { readonly type: 'go'; readonly isBeside: boolean }
  | { readonly type: 'prepare' | 'retire' | 'suspend' | 'end' };

/** What a process that was started tells the first one. `restart`: somebody asked it for what only the first one can do. */
export type FromSuccessor = SocketMessage | { readonly type: 'prepared' | 'serving' | 'suspended' | 'restart' };

/** The end of a channel between two processes. */
export interface Channel<Out, In> {
  /** Resolves when the message has left; rejects where the other process is gone. */
  send(message: Out, handle?: SocketHandle): Promise<void>;
  onMessage(listener: (message: In, handle: SocketHandle | undefined) => void): void;
}

interface Endpoint {
  send?(message: unknown, handle: unknown, callback: (error: Error | null) => void): boolean;
  on(event: 'message', listener: (message: unknown, handle: unknown) => void): unknown;
}

/** A channel over a child process, or over `process` where this one is the child. */
export const channelOver = <Out, In>(endpoint: unknown): Channel<Out, In> => {
  const other = endpoint as Endpoint;
  return {
    send: (message, handle) =>
      new Promise((resolve, reject) => {
        if (other.send === undefined) return reject(new Error('the channel is closed'));
        other.send(message, handle, (error) => (error === null || error === undefined ? resolve() : reject(error)));
      }),
    onMessage: (listener) => void other.on('message', (message, handle) => listener(message as In, handle as SocketHandle | undefined)),
  };
};

import type { Server } from 'node:net';

/**
 * A listening socket of the operating system. A process that holds one without accepting keeps its queue alive: whoever connects meanwhile
 * waits there for the next process that accepts.
 *
 * This is Node's own object for it, which `listen({ handle })` takes and which goes from process to process with a message. Node has no
 * public name for it; the version is pinned, and a test restarts real processes.
 */
export interface SocketHandle {
  close(): void;
}

/** The names of the listeners. */
export type ListenerName = 'runtime' | 'admin' | 'ingress' | 'ssh';

/** A socket with the address in the configuration that it was opened for. */
export interface BoundSocket {
  readonly name: ListenerName;
  readonly host: string;
  readonly port: number;
  readonly handle: SocketHandle;
}

/** The socket of a server that listens. */
export function socketOf(server: Server): SocketHandle {
  const handle = (server as unknown as { readonly _handle: SocketHandle | null })._handle;
  if (handle === null) throw new Error('the server does not listen');
  return handle;
}

/** Sockets that a process was given, by the listener that they are for. */
export class SocketCase {
  readonly #sockets = new Map<ListenerName, BoundSocket>();

  /** Keeps a socket, and closes the one of that name that it takes the place of. */
  put(socket: BoundSocket): void {
    const before = this.#sockets.get(socket.name);
    if (before !== undefined && before.handle !== socket.handle) before.handle.close();
    this.#sockets.set(socket.name, socket);
  }

  /** Takes the socket of a listener out, where it was opened for just that address; closes it where the address is another now. */
  take(wanted: Omit<BoundSocket, 'handle'>): SocketHandle | null {
    const socket = this.#sockets.get(wanted.name);
    if (socket === undefined) return null;
    this.#sockets.delete(wanted.name);
    if (socket.host === wanted.host && socket.port === wanted.port) return socket.handle;
    socket.handle.close();
    return null;
  }

  all(): readonly BoundSocket[] {
    return [...this.#sockets.values()];
  }
}

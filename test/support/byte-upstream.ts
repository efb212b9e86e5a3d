import { channel } from 'node:diagnostics_channel';
import { createServer, type AddressInfo, type Socket } from 'node:net';

/** What the upstream does with a request that has come whole, on the connection that it came on. `head` is its first lines. */
export type Respond = (connection: UpstreamConnection, head: string) => Promise<void>;

/** One connection of the gateway to the upstream. */
export interface UpstreamConnection {
  readonly socket: Socket;
  /** The gateway's own end of it. */
  readonly peer: Socket | undefined;
  /** Writes bytes as segments of their own: resolves when the other end has read them and all before them. */
  readonly writeAndAwait: (bytes: Uint8Array) => Promise<void>;
  /** Writes bytes and does not wait. */
  readonly write: (bytes: Uint8Array) => void;
}

/** A server that speaks no more HTTP than it is told to: every byte of its answers is the test's. */
export interface ByteUpstream {
  /** Base address, ending in `/v1`. */
  readonly url: string;
  /** What it does with the requests from now on. */
  respond: Respond;
  close(): Promise<void>;
}

/**
 * Starts a {@link ByteUpstream} on a free port of 127.0.0.1. The gateway has to run in this process, since its ends of the connections are
 * watched: so a test knows what was read, and does not guess.
 */
export async function startByteUpstream(): Promise<ByteUpstream> {
  const sockets = new Set<Socket>();
  const clientSockets: Socket[] = [];
  let port = 0;
  const onClient = (message: unknown): void => {
    const { socket } = message as { readonly socket: Socket };
    socket.once('connect', () => {
      if (socket.remotePort === port) clientSockets.push(socket);
    });
  };
  const clients = channel('net.client.socket');
  clients.subscribe(onClient);

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
    let received: Buffer = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const request = takeRequest(received);
      if (request === null) return;
      received = received.subarray(request.bytes);
      upstream.respond(connectionOf(socket, clientSockets), request.head).catch(() => socket.destroy());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
  const upstream: ByteUpstream = {
    url: `http://127.0.0.1:${port}/v1`,
    respond: () => Promise.reject(new Error('nobody has said what to answer')),
    close: async () => {
      clients.unsubscribe(onClient);
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return upstream;
}

/** The first whole request in the bytes, or null. */
function takeRequest(received: Buffer): { readonly bytes: number; readonly head: string } | null {
  const end = received.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const head = received.subarray(0, end).toString();
  const bytes = end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
  return received.length < bytes ? null : { bytes, head };
}

function connectionOf(socket: Socket, clientSockets: readonly Socket[]): UpstreamConnection {
  const peer = clientSockets.findLast(({ localPort }) => localPort === socket.remotePort);
  return {
    socket,
    peer,
    write: (bytes) => void socket.write(bytes),
    writeAndAwait: async (bytes) => {
      const goal = socket.bytesWritten + bytes.length;
      socket.write(bytes);
      // The reader may be gone, or have been told to stop.
      while (!socket.destroyed && peer !== undefined && !peer.destroyed && peer.bytesRead < goal) {
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
    },
  };
}

/** The head of an answer with status 200. */
export const answerHead = (headers: Readonly<Record<string, string>>): Buffer =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\n${Object.entries(headers)
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`,
  );

/** The head of an answer whose body is one HTTP chunk of `bytes`, and what ends that. */
export const oneChunk = (contentType: string, bytes: number): { readonly head: Buffer; readonly tail: Buffer } => ({
  head: Buffer.concat([
    answerHead({ 'content-type': contentType, 'transfer-encoding': 'chunked' }),
    Buffer.from(`${bytes.toString(16)}\r\n`),
  ]),
  tail: Buffer.from('\r\n0\r\n\r\n'),
});

import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/**
 * What happens to one COMMIT on its way to a PostgreSQL server:
 * - `answer-dropped`: the server carries it out; its answer never arrives, the client's connection is cut;
 * - `request-dropped`: it never reaches the server; both connections are cut;
 * - `delivered-late`: the client's connection is cut, and the server gets it only when `deliver` is called, on a connection that lives on;
 * - `answer-withheld`: the server carries it out; the client hears nothing more, on a connection that stays open.
 */
export type CommitFault = 'answer-dropped' | 'request-dropped' | 'delivered-late' | 'answer-withheld';

/** A TCP proxy in front of a PostgreSQL server that can lose a COMMIT. */
export interface DropProxy {
  /** `url` with the proxy's address in place of the server's. */
  url(url: string): string;
  /** Lets `fault` befall the next COMMIT of any connection; resolves when that has happened. */
  arm(fault: CommitFault): Promise<void>;
  /** Hands over what `delivered-late` held back. */
  deliver(): void;
  /** Cuts every connection, or lets none be made while `isDown`. */
  cut(isDown?: boolean): void;
  close(): Promise<void>;
}

/** Cuts a stream of PostgreSQL messages (a type byte and a length that counts itself) into whole ones. */
function makeMessageSplitter(hasStartup: boolean): (chunk: Buffer) => Buffer[] {
  let rest: Buffer = Buffer.alloc(0);
  let isStartup = hasStartup;
  return (chunk) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const messages: Buffer[] = [];
    for (;;) {
      // The first message of a client has no type byte.
      const typeBytes = isStartup ? 0 : 1;
      if (rest.length < typeBytes + 4) return messages;
      const length = typeBytes + rest.readInt32BE(typeBytes);
      if (rest.length < length) return messages;
      messages.push(rest.subarray(0, length));
      rest = rest.subarray(length);
      isStartup = false;
    }
  };
}

/** Whether a client's message carries out a COMMIT: a simple query, or a Bind of the prepared statement of that name. */
function isCommit(message: Buffer): boolean {
  const type = String.fromCharCode(message[0] ?? 0);
  const text = message.subarray(5).toString('latin1').toLowerCase();
  return (type === 'Q' && /^commit;?\0$/.test(text)) || (type === 'B' && text.startsWith('\0commit\0'));
}

const isReadyForQuery = (message: Buffer): boolean => message[0] === 'Z'.charCodeAt(0);

/** Starts a proxy in front of 127.0.0.1:`serverPort`. */
export async function startDropProxy(serverPort: number): Promise<DropProxy> {
  let armed: { readonly fault: CommitFault; readonly happened: () => void } | undefined;
  let isDown = false;
  let held: { readonly server: Socket; readonly bytes: Buffer[] } | undefined;
  const sockets = new Set<Socket>();

  const relay = (client: Socket): void => {
    if (isDown) return void client.destroy();
    const server = connect(serverPort, '127.0.0.1');
    let struck: CommitFault | undefined;
    let happened = (): void => undefined;
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => undefined);
      socket.on('close', () => sockets.delete(socket));
    }
    const requests = makeMessageSplitter(true);
    const answers = makeMessageSplitter(false);

    client.on('data', (chunk: Buffer) => {
      for (const message of requests(chunk)) {
        if (struck === undefined && armed !== undefined && isCommit(message)) {
          struck = armed.fault;
          happened = armed.happened;
          armed = undefined;
          if (struck === 'request-dropped') server.destroy();
          if (struck === 'delivered-late') held = { server, bytes: [] };
        }
        if (struck === 'delivered-late') held?.bytes.push(message);
        else if (struck !== 'request-dropped') server.write(message);
      }
      if (struck === 'request-dropped' || struck === 'delivered-late') {
        client.destroy();
        happened();
      }
    });
    server.on('data', (chunk: Buffer) => {
      if (struck === undefined) return void client.write(chunk);
      // The answer to the COMMIT is complete where the server is ready again; only then is it certain that it was carried out.
      if (!answers(chunk).some(isReadyForQuery)) return;
      if (struck === 'answer-dropped') client.destroy();
      happened();
    });
    // A splitter must see every byte of its direction to stay in step; answers before the fault are whole when the fault strikes,
    // because the server has answered all that came before.
    client.on('close', () => struck !== 'delivered-late' && server.destroy());
    server.on('close', () => client.destroy());
  };

  const listener = createServer(relay);
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const { port } = listener.address() as AddressInfo;
  return {
    url(url) {
      const proxied = new URL(url);
      proxied.port = String(port);
      return proxied.href;
    },
    arm: (fault) => new Promise<void>((resolve) => (armed = { fault, happened: resolve })),
    deliver() {
      for (const bytes of held?.bytes ?? []) held?.server.write(bytes);
      held = undefined;
    },
    cut(down = false) {
      isDown = down;
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => listener.close(resolve));
    },
  };
}

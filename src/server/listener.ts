import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http';
import { Server as NetServer, type AddressInfo, type Socket } from 'node:net';
import Fastify, { type ConnectionError, type FastifyInstance } from 'fastify';
import { makeFrameworkErrors, type PathOwner } from '../api/_shared/fallback.ts';
import type { ErrorForm, Problem } from '../api/_shared/problem.ts';
import type { Ids } from '../ports/ids.ts';
import type { Log } from '../ports/log.ts';
import { TimedResponse } from './telemetry/timed-response.ts';
import { ConfigError } from './config-error.ts';
import type { ListenAddress } from './config.ts';
import { codeOf } from './data-folder.ts';
import { socketOf, type SocketHandle } from './restart/sockets.ts';
import { originOf } from './origin.ts';

/** How long a client may take, in milliseconds. Answers are not limited here: a model may think for minutes. */
export interface ClientTimeouts {
  /** For the whole request, its body included, from its first byte on. */
  readonly requestMs: number;
  /** For the request's headers. */
  readonly headersMs: number;
  /** How often the two above are looked at. */
  readonly checkMs: number;
  /** How long an idle connection stays open. */
  readonly keepAliveMs: number;
}

/** Long enough for 32 MiB over a slow line, short enough that slow senders cannot hold connections for nothing. */
export const CLIENT_TIMEOUTS: ClientTimeouts = { requestMs: 30_000, headersMs: 10_000, checkMs: 1000, keepAliveMs: 72_000 };

/** Sockets that become idle while the server closes are looked for this often. */
const REAP_MS = 50;

/** A listener that listens. */
export interface Listener {
  /** Address for clients on this machine, such as `http://127.0.0.1:7878`. */
  readonly origin: string;
  readonly port: number;
  /** The socket that it listens on, for another process to listen on as well; null where it listens on more than one. */
  socket(): SocketHandle | null;
  /** Accepts nothing new, and resolves when every request has been answered; after `limitMs` the rest is cut off. */
  drain(limitMs: number): Promise<void>;
  /**
   * Accepts nothing new and waits until every connection has ended, however long its answer takes. A connection without a request stays
   * open for `idleMs`, so that a client that is just about to use it again is answered; that answer is its last.
   */
  retire(idleMs: number): Promise<void>;
}

/** What a server without routes is made of. `form` is for what is so broken that nobody knows which surface it was meant for. */
export interface ServerOptions {
  readonly bodyLimit: number;
  readonly ids: Ids;
  readonly timeouts: ClientTimeouts;
  readonly owners: readonly PathOwner[];
  readonly form: ErrorForm;
  readonly log: Log;
}

/** Makes a server without routes. Its requests have ids, its errors are the surfaces' business, and it logs nothing by itself. */
export function makeServer(options: ServerOptions): FastifyInstance {
  const { bodyLimit, ids, timeouts } = options;
  const answering = new WeakMap<object, ServerResponse>();
  const app = Fastify({
    bodyLimit,
    trustProxy: false,
    // Surfaces bring a validator of their own, and answers have no schema: Fastify would load two compilers for nothing.
    schemaController: { compilersFactory: { buildValidator: () => noValidator, buildSerializer: () => () => JSON.stringify } },
    requestIdHeader: false,
    genReqId: () => ids.next('req'),
    requestTimeout: timeouts.requestMs,
    keepAliveTimeout: timeouts.keepAliveMs,
    // No limit on silence: a call that does not stream says nothing until the model has finished.
    connectionTimeout: 0,
    // Node's own answer to a missing Host has no body; the guards of the transport give one.
    http: {
      headersTimeout: timeouts.headersMs,
      connectionsCheckingInterval: timeouts.checkMs,
      requireHostHeader: false,
      ServerResponse: TimedResponse,
    },
    routerOptions: { maxParamLength: 1024, ignoreTrailingSlash: false },
    // `__proto__` in a body is the surfaces' to refuse, in their own form.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
    frameworkErrors: makeFrameworkErrors(options),
    clientErrorHandler: (error, socket) => answerBrokenRequest(error, socket, { ...options, answer: answering.get(socket) }),
  });
  const retiring = (): boolean => app.server.listening === false;
  app.server.prependListener('request', (_request: IncomingMessage, response: ServerResponse) => {
    // The answer tells the client that the connection ends with it.
    if (retiring()) response.shouldKeepAlive = false;
  });
  app.server.on('request', (request: IncomingMessage, response: ServerResponse) => void answering.set(request.socket, response));
  app.server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => refuseExpectation(response, options));
  return app;
}

const noValidator = (): never => {
  throw new Error('a route with a schema needs a surface that has a validator');
};

/** Answers an `Expect` other than `100-continue`, which nobody here can meet. */
function refuseExpectation(response: ServerResponse, { form, ids }: { readonly form: ErrorForm; readonly ids: Ids }): void {
  const requestId = ids.next('req');
  const { body } = form({ code: 'bad_request', message: 'the header Expect may only be 100-continue', field: 'expect' }, requestId);
  const text = JSON.stringify(body);
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(text),
    'x-request-id': requestId,
  };
  // What follows may be a body, or the next request: the connection is of no use any more.
  response.writeHead(417, { ...headers, connection: 'close' }).end(text);
}

/** What is said about requests that Node cannot read; by the code of its error. */
const BROKEN: Readonly<Record<string, { readonly status?: string; readonly problem: Problem }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: '408 Request Timeout',
    problem: { code: 'request_timeout', message: 'the request did not arrive in time' },
  },
  HPE_HEADER_OVERFLOW: {
    status: '431 Request Header Fields Too Large',
    problem: { code: 'bad_request', message: 'the headers of the request are larger than this server takes' },
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: '413 Payload Too Large',
    problem: { code: 'body_too_large', message: 'the chunk extensions of the body are larger than this server takes' },
  },
};

/** Answers what is no HTTP request, or did not become a whole one in time, and closes its connection. `answer` is its latest answer. */
function answerBrokenRequest(
  error: ConnectionError,
  socket: Socket,
  options: { readonly form: ErrorForm; readonly ids: Ids; readonly answer: ServerResponse | undefined },
): void {
  const { answer } = options;
  // After a reset there is nobody to answer; in the middle of an answer, another one would be taken for a part of it.
  const isAnswering = answer !== undefined && answer.headersSent && !answer.writableFinished;
  if (String(error.code) === 'ECONNRESET' || !socket.writable || isAnswering) return void socket.destroy();
  const { status = '400 Bad Request', problem } = BROKEN[String(error.code)] ?? {
    problem: { code: 'bad_request', message: 'the request cannot be read as HTTP' },
  };
  const requestId = options.ids.next('req');
  const body = JSON.stringify(options.form(problem, requestId).body);
  const headers = [
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `X-Request-Id: ${requestId}`,
    'Connection: close',
  ];
  socket.end(`HTTP/1.1 ${status}\r\n${headers.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

/** A server that can be told to listen: Fastify's, or a plain one. */
export interface Listening {
  readonly server: HttpServer;
  listen(where: { readonly host: string; readonly port?: number }): Promise<unknown>;
  close(): Promise<unknown>;
}

/**
 * Starts to listen, on `inherited` where another process has handed it over. `variable` is the environment variable of the port, for the
 * sentence that says what to do when it is taken.
 */
export async function listen(
  app: Listening,
  address: ListenAddress,
  variable: string,
  inherited: SocketHandle | null = null,
): Promise<Listener> {
  try {
    await app.listen(inherited === null ? { host: address.host, port: address.port } : handedOver(address, inherited));
  } catch (error) {
    throw listenError(error, address, variable);
  }
  const bound = app.server.address() as AddressInfo;
  // Fastify listens on both addresses of this name, with a server for each.
  const isDual = address.host === 'localhost';
  const ended = makeEnding(app);
  return {
    origin: originOf(address.host, bound.port),
    port: bound.port,
    socket: () => (isDual ? null : socketOf(app.server)),
    drain: (limitMs) => drain(app, limitMs, isDual ? async () => void (await app.close()) : ended),
    retire: (idleMs) => retire(app, idleMs, ended),
  };
}

/** Fastify passes on what it does not know to `listen`, where a handle goes before the address. */
const handedOver = (address: ListenAddress, handle: SocketHandle): { host: string } => ({ host: address.host, handle }) as { host: string };

/** Stops accepting, once, and leaves every connection as it is; resolves when the last of them has ended. */
function makeEnding(app: Listening): () => Promise<void> {
  let ended: Promise<void> | undefined;
  // Not the close of HTTP servers, which also closes whatever is idle at that moment.
  return () => (ended ??= new Promise((resolve) => void NetServer.prototype.close.call(app.server, () => resolve())));
}

/** What is told where a listener cannot be opened. */
export function listenError(error: unknown, { host, port }: ListenAddress, variable: string): unknown {
  const hostVariable = variable.replace(/PORT$/, 'HOST');
  switch (codeOf(error)) {
    case 'EADDRINUSE':
      return new ConfigError(`Port ${port} on ${host} is in use: stop the program that uses it, or set ${variable} to another port.`);
    case 'EACCES':
      return new ConfigError(`Port ${port} on ${host} may not be used by this user: set ${variable} to a port from 1024 on.`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new ConfigError(
        `${host} is no address of this machine: set ${hostVariable} or CASTELLAN_HOST to one that is, such as 127.0.0.1.`,
      );
    default:
      return error;
  }
}

async function drain(app: Listening, limitMs: number, ended: () => Promise<void>): Promise<void> {
  // A connection that falls idle would be kept until its client closes it.
  const reaper = setInterval(() => app.server.closeIdleConnections(), REAP_MS);
  const cut = setTimeout(() => app.server.closeAllConnections(), limitMs);
  try {
    await ended();
  } finally {
    clearInterval(reaper);
    clearTimeout(cut);
  }
  // Only now: what came on an open connection meanwhile would have been turned away.
  await app.close();
}

async function retire(app: Listening, idleMs: number, ended: () => Promise<void>): Promise<void> {
  let reaper: NodeJS.Timeout | undefined;
  const patience = setTimeout(() => {
    reaper = setInterval(() => app.server.closeIdleConnections(), REAP_MS);
  }, idleMs);
  try {
    await ended();
  } finally {
    clearTimeout(patience);
    clearInterval(reaper);
  }
}

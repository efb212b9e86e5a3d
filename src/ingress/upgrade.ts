import { request as ask, ServerResponse, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { PassThrough, type Duplex } from 'node:stream';
import type { IngressTarget } from '../ports/ingress-routes.ts';
import { answerHeaders, hasBody, requestHeaders, type Sender } from './headers.ts';
import type { InFlightTable } from './in-flight.ts';

const CONNECT_TIMEOUT_MS = 2000;

/** Protocols that carry further requests, which would get to a unit past the rules of its shim: HTTP/2, and TLS with HTTP in it. */
const CARRIES_REQUESTS = /^(?:h2c|http|tls)(?:\/|$)/i;

/**
 * Whether a request that names another protocol may become that. One that brings a body may not, nor one that names a protocol that carries requests:
 * these are answered as they would be without. Clients that would like HTTP/2 say so of each first request.
 */
export function mayUpgrade(request: Pick<IncomingMessage, 'headers'>): boolean {
  const protocols = (request.headers.upgrade ?? '').split(',').map((protocol) => protocol.trim());
  return !hasBody(request) && !protocols.some((protocol) => CARRIES_REQUESTS.test(protocol));
}

/** Answers on a connection that wanted to become another protocol, and closes it. */
export function refuseUpgrade(socket: Duplex, status: number, text: string): void {
  const body = `${text}\n`;
  socket.end(
    `HTTP/1.1 ${status} \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

/** The head of an answer as it came. */
function headOf({ statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = [`HTTP/1.1 ${statusCode ?? 0} ${statusMessage ?? ''}`];
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) lines.push(`${rawHeaders[index] ?? ''}: ${rawHeaders[index + 1] ?? ''}`);
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Passes on an answer that is none to the wish for another protocol, and closes the connection. */
function passAnswer(answer: IncomingMessage, of: { readonly request: IncomingMessage; readonly socket: Socket }): void {
  const response = new ServerResponse(of.request);
  response.shouldKeepAlive = false;
  response.assignSocket(of.socket);
  response.on('finish', () => of.socket.end());
  try {
    response.writeHead(answer.statusCode ?? 0, answerHeaders(answer.headers));
  } catch {
    of.socket.destroy();
    return;
  }
  answer.pipe(response);
  answer.on('close', () => {
    if (!answer.complete) of.socket.destroy();
  });
}

/**
 * Passes a connection that is to become another protocol, such as a WebSocket, on to a unit: the request as it came but for what the ingress
 * writes; then, once the unit has agreed (101), bytes both ways until both sides have ended. Until then nothing else of the client goes on: it would be taken
 * for a request that nobody has looked at. Any other answer of the unit goes back and ends the connection.
 */
export function passUpgrade(of: {
  readonly request: IncomingMessage;
  readonly socket: Socket;
  readonly head: Buffer;
  readonly target: IngressTarget;
  readonly inFlight: InFlightTable;
  readonly sender: Sender;
}): void {
  const { request, socket, head, target, inFlight, sender } = of;
  const unit = connect({ host: target.address, port: target.port, allowHalfOpen: true, timeout: CONNECT_TIMEOUT_MS });
  const destroy = (): void => {
    socket.destroy();
    unit.destroy();
  };
  const end = inFlight.begin(target.deploymentId, destroy);
  let isAnswered = false;
  // Read, so that it is seen when the client goes away; of one that says much too early the rest waits.
  const early = new PassThrough();
  early.write(head);
  socket.pipe(early);
  early.once('finish', () => isAnswered || destroy());

  const asked = ask({
    createConnection: () => unit,
    method: request.method ?? 'GET',
    path: request.url ?? '/',
    headers: requestHeaders(request.rawHeaders, request.headers.connection, sender, ['connection', 'upgrade']),
  });
  asked.on('upgrade', (answer: IncomingMessage, _unit: Duplex, after: Buffer) => {
    isAnswered = true;
    socket.write(headOf(answer), 'latin1');
    if (after.length > 0) socket.write(after);
    unit.pipe(socket);
    early.pipe(unit);
  });
  asked.on('response', (answer) => {
    isAnswered = true;
    passAnswer(answer, { request, socket });
  });
  asked.on('error', () => {
    if (!isAnswered && socket.writable) refuseUpgrade(socket, 502, 'the container does not answer');
    else destroy();
    isAnswered = true;
  });
  asked.end();
  unit.on('connect', () => {
    unit.setTimeout(0);
    socket.setTimeout(0);
  });
  unit.on('timeout', () => unit.destroy(new Error('the unit does not answer')));
  unit.on('error', () => isAnswered && destroy());
  socket.on('error', destroy);
  unit.on('close', () => {
    end();
    if (isAnswered && !socket.writableEnded) socket.end();
  });
  socket.on('close', () => unit.destroy());
}

import type { IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { IngressTarget } from '../ports/ingress-routes.ts';
import { requestHeaders, type Sender } from './headers.ts';
import type { InFlightTable } from './in-flight.ts';

const CONNECT_TIMEOUT_MS = 2000;

/** Answers on a connection that wanted to become another protocol, and closes it. */
export function refuseUpgrade(socket: Duplex, status: number, text: string): void {
  const body = `${text}\n`;
  socket.end(
    `HTTP/1.1 ${status} \r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}

/**
 * Passes a connection that is to become another protocol, such as a WebSocket, on to a unit: the request as it came but for what the ingress
 * writes, then bytes both ways until both sides have ended.
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
  let isConnected = false;
  unit.on('connect', () => {
    isConnected = true;
    unit.setTimeout(0);
    socket.setTimeout(0);
    const headers = requestHeaders(request.rawHeaders, request.headers.connection, sender, ['connection', 'upgrade']);
    const lines = [`${request.method ?? 'GET'} ${request.url ?? '/'} HTTP/1.1`];
    for (let index = 0; index + 1 < headers.length; index += 2) lines.push(`${headers[index] ?? ''}: ${headers[index + 1] ?? ''}`);
    unit.write(`${lines.join('\r\n')}\r\n\r\n`);
    if (head.length > 0) unit.write(head);
    unit.pipe(socket);
    socket.pipe(unit);
  });
  const fail = (): void => {
    if (!isConnected && socket.writable) refuseUpgrade(socket, 502, 'the container does not answer');
    else destroy();
  };
  unit.on('timeout', () => unit.destroy(new Error('the unit does not answer')));
  unit.on('error', fail);
  socket.on('error', destroy);
  unit.on('close', () => {
    end();
    if (!socket.writableEnded) socket.end();
  });
  socket.on('close', () => unit.destroy());
}

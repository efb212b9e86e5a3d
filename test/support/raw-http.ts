import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** What came back over one connection until the server closed it. */
export interface RawAnswer {
  /** 0 where the server closed without an answer. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** From the connection to its end, milliseconds. */
  readonly tookMs: number;
}

/** What is written to a connection: text at once, a number as a pause of as many milliseconds. */
export type RawPart = string | number;

/**
 * Writes bytes to a server as they are, with pauses, and reads until it closes. For requests that no client library would send. The
 * request should ask for `Connection: close`.
 */
export async function sendRaw(origin: string, parts: readonly RawPart[], options: { readonly limitMs?: number } = {}): Promise<RawAnswer> {
  const { hostname, port } = new URL(origin);
  const startedMs = Date.now();
  const socket = connect(Number(port), hostname);
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => (received += text));
  socket.on('error', () => undefined);
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  let isOpen = true;
  void closed.then(() => (isOpen = false));
  for (const part of parts) {
    if (!isOpen) break;
    if (typeof part === 'number') await Promise.race([delay(part), closed]);
    else socket.write(part, 'latin1');
  }
  const timer = setTimeout(() => socket.destroy(), options.limitMs ?? 10_000);
  await closed;
  clearTimeout(timer);
  const [head = '', ...rest] = received.split('\r\n\r\n');
  const [statusLine = '', ...lines] = head.split('\r\n');
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1] ?? 0),
    headers: Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    ),
    body: rest.join('\r\n\r\n'),
    tookMs: Date.now() - startedMs,
  };
}

/** A request as text. `headers` are lines; the length of the body is told unless a line tells it. */
export function rawRequest(request: {
  readonly method: string;
  readonly path: string;
  readonly headers: readonly string[];
  readonly body?: string;
}): string {
  const { method, path, headers, body = '' } = request;
  const has = (name: string): boolean => headers.some((line) => line.toLowerCase().startsWith(`${name}:`));
  const lines = [
    `${method} ${path} HTTP/1.1`,
    ...(has('host') ? [] : ['Host: 127.0.0.1']),
    ...headers,
    ...(body === '' || has('content-length') || has('transfer-encoding') ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]),
    ...(has('connection') ? [] : ['Connection: close']),
  ];
  return `${lines.join('\r\n')}\r\n\r\n${Buffer.from(body).toString('latin1')}`;
}

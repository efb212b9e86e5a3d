import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One request as it arrived. `raw` are the bytes of the body. */
export interface ReceivedHook {
  readonly method: string;
  readonly path: string;
  readonly httpVersion: string;
  readonly headers: IncomingHttpHeaders;
  readonly raw: Buffer;
  /** The event's id, as the body says. */
  readonly eventId: string;
  readonly atMs: number;
}

/** A receiver of webhooks on loopback. */
export interface WebhookReceiver {
  readonly url: string;
  readonly received: readonly ReceivedHook[];
  /** Says what is answered from now on: a status, or a promise of one. At first everything is taken. */
  answer(answer: (hook: ReceivedHook, count: number) => number | Promise<number>): void;
  /** What came to a path. */
  at(path: string): readonly ReceivedHook[];
  close(): Promise<void>;
}

/** Starts a receiver; paths tell the subscriptions of a test apart. */
export async function startWebhookReceiver(): Promise<WebhookReceiver> {
  const received: ReceivedHook[] = [];
  let answer: (hook: ReceivedHook, count: number) => number | Promise<number> = () => 204;
  const server = createServer((request, response: ServerResponse) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const raw = Buffer.concat(parts);
      const { method = '', url: path = '', httpVersion, headers } = request;
      const { event_id: eventId } = JSON.parse(raw.toString()) as { event_id: string };
      const hook: ReceivedHook = { method, path, httpVersion, headers, raw, eventId, atMs: performance.now() };
      received.push(hook);
      void Promise.resolve(answer(hook, received.length)).then((status) => response.writeHead(status).end());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    answer: (next) => {
      answer = next;
    },
    at: (path) => received.filter((hook) => hook.path === path),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

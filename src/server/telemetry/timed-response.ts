import { ServerResponse, type IncomingMessage } from 'node:http';

/** Node's response, with the moment at which its head was written: the one place that every answer goes through, streams included. */
export class TimedResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  /** By `performance.now()`; null while nothing was sent. */
  headAtMs: number | null = null;

  override writeHead(...head: unknown[]): this {
    this.headAtMs ??= performance.now();
    return super.writeHead(...(head as Parameters<ServerResponse['writeHead']>));
  }
}

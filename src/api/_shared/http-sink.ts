import type { ServerResponse } from 'node:http';
import type { FastifyReply } from 'fastify';
import type { AnswerHeaders, CallSink } from '../../app/calls/call-types.ts';

/** Bodies up to this size are sent as one piece: joining them is cheaper than a second write. */
const JOIN_BYTES = 262_144;

/**
 * Sends a call's answer straight to Node's response: Fastify's own sending would cost more than the rest of the route, and cannot
 * send trailers with backpressure. Until the first use of the sink the reply is Fastify's.
 */
export class HttpSink implements CallSink {
  readonly #reply: FastifyReply;
  readonly #response: ServerResponse;
  #gone = false;
  #begun = false;
  #wrote = false;
  #trails = false;
  #onGone: (() => void) | null = null;
  #onDrained: (() => void) | null = null;

  constructor(reply: FastifyReply) {
    this.#reply = reply;
    this.#response = reply.raw;
    this.#response.once('close', this.#close);
  }

  get gone(): boolean {
    return this.#gone;
  }

  get begun(): boolean {
    return this.#begun;
  }

  onGone(listener: () => void): void {
    if (this.#gone) listener();
    else this.#onGone = listener;
  }

  send(status: number, headers: AnswerHeaders, pieces: readonly Uint8Array[]): void {
    this.#begin();
    if (this.#gone) return;
    const response = this.#response;
    let bytes = 0;
    for (const piece of pieces) bytes += piece.length;
    response.writeHead(status, { ...headers, 'content-length': bytes });
    const [only] = pieces;
    if (pieces.length === 1) response.end(only);
    else if (bytes <= JOIN_BYTES) response.end(Buffer.concat(pieces, bytes));
    else {
      for (const piece of pieces) response.write(piece);
      response.end();
    }
  }

  begin(status: number, headers: AnswerHeaders, trailer: string | null): void {
    this.#begin();
    if (this.#gone) return;
    this.#trails = trailer !== null && takesTrailers(this.#response);
    this.#response.writeHead(status, trailer === null || !this.#trails ? headers : { ...headers, trailer });
  }

  write(piece: Uint8Array): boolean {
    if (this.#gone) return true;
    this.#wrote = true;
    return this.#response.write(piece);
  }

  drained(): Promise<void> {
    const response = this.#response;
    if (this.#gone || !response.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onDrained = resolve;
      response.once('drain', resolve);
    });
  }

  end(pieces: readonly Uint8Array[], trailers: AnswerHeaders | null): void {
    if (this.#gone) return;
    const response = this.#response;
    if (trailers !== null && this.#trails) {
      // Node leaves the trailers out where it took the whole body for known: nothing written yet, or an empty one.
      if (!this.#wrote) response.flushHeaders();
      response.addTrailers(trailers);
    }
    const [only] = pieces;
    if (pieces.length === 1) response.end(only);
    else if (pieces.length === 0) response.end();
    else response.end(Buffer.concat(pieces));
  }

  cut(): void {
    this.#begin();
    this.#response.destroy();
  }

  #begin(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#reply.hijack();
  }

  readonly #close = (): void => {
    if (this.#response.writableFinished) return;
    this.#gone = true;
    this.#onDrained?.();
    this.#onGone?.();
  };
}

/** Trailers need chunks, which HTTP/1.0 does not have: such a caller gets its answer without its usage. */
const takesTrailers = ({ req }: ServerResponse): boolean => req.httpVersionMajor > 1 || req.httpVersionMinor >= 1;

import { Readable } from 'node:stream';
import { Pool } from 'undici';
import { UpstreamFault, type UpstreamClient, type UpstreamRequest, type UpstreamResponse } from '../../ports/upstream.ts';
import { decodeBody } from './decoded-body.ts';
import { headerText, requestHeaders, responseHeaders } from './headers.ts';
import { HttpAnswer } from './http-answer.ts';

/** An OpenAI-compatible server. */
export interface OpenAiClientOptions {
  /** Its id, for logs. */
  readonly name: string;
  /** Where its paths begin, such as `http://127.0.0.1:9001/v1`; http or https. */
  readonly baseUrl: string;
  /** Sent as a bearer token; null if it wants none. */
  readonly apiKey: string | null;
  /** Go with every request, before the caller's and our own of the same name. */
  readonly headers?: Readonly<Record<string, string>>;
  /** The most connections to it, each with one request at a time; null for no limit. Requests above it wait for a free one. */
  readonly connections: number | null;
  readonly connectTimeoutMs: number;
}

/**
 * A client of one upstream that speaks OpenAI's API, Anthropic's, or both: HTTP/1.1 over kept connections, one request at a time on each.
 *
 * Sends only the headers on its list and never the caller's credentials; follows no redirect, retries nothing. Compressed answers are
 * decoded, although none is asked for.
 */
export function makeOpenAiClient(options: OpenAiClientOptions): UpstreamClient {
  const base = new URL(options.baseUrl);
  const basePath = base.pathname.replace(/\/+$/, '');
  const pool = new Pool(base.origin, {
    connections: options.connections,
    pipelining: 1,
    allowH2: false,
    connectTimeout: options.connectTimeoutMs,
    // Below what servers commonly keep (5 s in Node and uvicorn), so that a request seldom meets a connection that is just being closed.
    keepAliveTimeout: 4_000,
    keepAliveMaxTimeout: 60_000,
  });

  return {
    send: async (request) => {
      const answer = new HttpAnswer({ upstreamName: options.name, signal: request.signal });
      const { body } = request;
      pool.dispatch(
        {
          path: basePath + request.path,
          method: request.method,
          headers: requestHeaders(request.headers, options, request.dialect, request.sealed),
          body: dispatchable(body),
          headersTimeout: request.timeouts.headersMs,
          bodyTimeout: request.timeouts.idleMs,
        },
        answer,
      );
      return toResponse(answer, options.name, request.sealed);
    },
    close: async () => pool.destroy(),
  };
}

/** A body as the dispatcher takes it. */
function dispatchable(body: UpstreamRequest['body']): string | Buffer | Readable | null {
  if (body === null || typeof body === 'string') return body;
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  return Readable.from(body, { objectMode: false });
}

async function toResponse(answer: HttpAnswer, name: string, isSealed?: boolean): Promise<UpstreamResponse> {
  const { status, headers } = await answer.head;
  const requestId = headerText(headers['x-request-id']);
  const encoding = headerText(headers['content-encoding']);
  if (encoding === null || encoding.trim().toLowerCase() === 'identity' || encoding === '') {
    return { status, headers: responseHeaders(headers, isSealed), requestId, body: answer };
  }
  const body = decodeBody(answer, encoding, name);
  if (body === null) {
    answer.cancel();
    const message = `upstream ${name} sent a body encoded as ${encoding}, which was not asked for`;
    throw new UpstreamFault({ kind: 'protocol', beforeFirstByte: true, message });
  }
  return { status, headers: responseHeaders(headers, isSealed), requestId, body };
}

import type { IncomingMessage, ServerResponse } from 'node:http';
import { PassThrough } from 'node:stream';
import { Pool, type Dispatcher } from 'undici';
import type { IngressSlot, IngressTarget } from '../ports/ingress-routes.ts';
import { answerHeaders, hasBody, requestHeaders, type SenderOf } from './headers.ts';
import type { InFlightTable } from './in-flight.ts';

/** Passes requests on to units. */
export interface Proxy {
  /**
   * Passes a request on and its answer back, bytes as they come. Resolves when both have ended, however. A unit that cannot be reached is answered 502;
   * an idempotent request without a body, or with a small one, is tried on other slots first: `again` gives the newest.
   */
  pass(request: IncomingMessage, response: ServerResponse, target: IngressTarget, again: () => IngressTarget | undefined): Promise<void>;
  /** How many requests were tried more than once. */
  readonly retried: number;
  /** Drops connections to deployments that are gone: those for which `isKnown` is false. */
  forget(isKnown: (deploymentId: string) => boolean): void;
  close(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 2000;
const KEEP_ALIVE_MS = 30_000;
/** Methods that may be sent twice. Source: RFC 9110 section 9.2.2. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
const MAX_TRIES = 3;

/** How one try ended: the answer was passed on, or broke; or nothing of it came, and it may be tried again. */
type Tried = 'done' | 'nothing came';

/** A body of at most so many bytes is read before it goes on: that is faster than a stream, and it may be sent again. */
const SMALL_BODY_BYTES = 16 * 1024;

/** What goes on as the body of a request: nothing, bytes, or what still comes. */
type Body = null | Buffer | 'stream';

/** The body of a request, read where its length is known and small. Rejects where the client goes away in the middle. */
function bodyOf(request: IncomingMessage): Body | Promise<Buffer> {
  if (!hasBody(request)) return null;
  const length = Number(request.headers['content-length'] ?? Infinity);
  if (request.headers['transfer-encoding'] !== undefined || !(length <= SMALL_BODY_BYTES)) return 'stream';
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let left = length;
    request.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      left -= chunk.length;
      if (left === 0) resolve(chunks.length === 1 ? chunk : Buffer.concat(chunks));
    });
    request.on('error', () => reject(new Error('the client is gone')));
  });
}

/** A body that still comes, as the connection to the unit takes it. The unit may refuse it half-way: then the rest is read and dropped. */
function streamOf(request: IncomingMessage): PassThrough {
  const body = new PassThrough();
  body.on('error', () => request.resume());
  request.pipe(body);
  request.on('close', () => {
    if (!request.complete) body.destroy(new Error('the client is gone'));
  });
  return body;
}

/** Connections to units, kept for each slot by itself: one that is new never gets those of one that is gone. */
interface Pools {
  of(slot: IngressSlot): Pool;
  forget(isKnown: (deploymentId: string) => boolean): void;
  close(): Promise<void>;
}

function makePools(): Pools {
  const pools = new Map<string, { readonly deploymentId: string; readonly pool: Pool }>();
  return {
    of: ({ deploymentId, address, port }) => {
      const key = `${deploymentId} ${address} ${port}`;
      const known = pools.get(key);
      if (known !== undefined) return known.pool;
      const host = address.includes(':') ? `[${address}]` : address;
      const pool = new Pool(`http://${host}:${port}`, {
        connections: null,
        pipelining: 1,
        headersTimeout: 0,
        bodyTimeout: 0,
        keepAliveTimeout: KEEP_ALIVE_MS,
        connect: { timeout: CONNECT_TIMEOUT_MS },
      });
      pools.set(key, { deploymentId, pool });
      return pool;
    },
    forget: (isKnown) => {
      for (const [key, { deploymentId, pool }] of pools) {
        if (isKnown(deploymentId)) continue;
        pools.delete(key);
        pool.close().catch(() => undefined);
      }
    },
    close: async () => {
      const all = [...pools.values()];
      pools.clear();
      await Promise.all(all.map(({ pool }) => pool.destroy()));
    },
  };
}

/** One try. Counts as under way from the moment that the slot is chosen, so that it cannot be removed in between. */
const makeAttempt =
  (pools: Pools, inFlight: InFlightTable, senderOf: SenderOf) =>
  (request: IncomingMessage, response: ServerResponse, to: { readonly slot: IngressSlot; readonly body: Body }): Promise<Tried> =>
    new Promise((resolve) => {
      let controller: Dispatcher.DispatchController | null = null;
      let isCut = false;
      const abort = (why: string): void => {
        isCut = true;
        controller?.abort(new Error(why));
      };
      const { slot, body } = to;
      const end = inFlight.begin(slot.deploymentId, () => {
        abort('the deployment is removed');
        response.destroy();
      });
      const onClose = (): void => {
        if (!response.writableFinished) abort('the client is gone');
        settle('done');
      };
      const settle = (tried: Tried): void => {
        if (tried === 'nothing came') response.off('close', onClose);
        end();
        resolve(tried);
      };
      response.on('close', onClose);

      const sender = senderOf(request);
      const handler: Dispatcher.DispatchHandler = {
        onRequestStart: (given) => {
          controller = given;
          if (isCut) given.abort(new Error('not wanted any more'));
        },
        onResponseStart: (_given, status, headers, message) => {
          if (status >= 100 && status < 200) return;
          // What throws in here ends the try: it counts as an answer that cannot be read.
          response.writeHead(status, reasonOf(message), answerHeaders(headers));
          if (request.method === 'HEAD') response.flushHeaders();
        },
        onResponseData: (given, chunk) => {
          if (response.write(chunk)) return;
          given.pause();
          response.once('drain', () => given.resume());
        },
        onResponseEnd: (_given, trailers) => {
          if (Object.keys(trailers).length > 0) response.addTrailers(answerHeaders(trailers));
          response.end();
        },
        onResponseError: () => {
          if (response.headersSent || isCut || response.destroyed) {
            response.destroy();
            return settle('done');
          }
          settle('nothing came');
        },
      };
      const options = {
        path: request.url ?? '/',
        method: request.method ?? 'GET',
        headers: requestHeaders(request.rawHeaders, request.headers.connection, sender),
        body: body === 'stream' ? streamOf(request) : body,
      };
      try {
        pools.of(slot).dispatch(options, handler);
      } catch {
        settle('nothing came');
      }
    });

/**
 * What a unit says beside its status, where it can be sent on: the same signs that Node.js lets through. Anything else is left out, for `writeHead` throws on
 * it, and goes on throwing whatever is answered next.
 */
const reasonOf = (message: string | undefined): string =>
  message !== undefined && /^[\t\x20-\x7e\x80-\xff]*$/.test(message) ? message : '';

/** Makes a {@link Proxy}. */
export function makeProxy({ inFlight, senderOf }: { readonly inFlight: InFlightTable; readonly senderOf: SenderOf }): Proxy {
  const pools = makePools();
  const attempt = makeAttempt(pools, inFlight, senderOf);
  let retried = 0;

  return {
    get retried() {
      return retried;
    },
    pass: async (request, response, target, again) => {
      const read = bodyOf(request);
      const body = read instanceof Promise ? await read.catch(() => undefined) : read;
      if (body === undefined) return;
      const mayRepeat = IDEMPOTENT.has(request.method ?? '') && body !== 'stream';
      // While a body was read the deployment of before may have gone.
      let slot: IngressSlot | null = read instanceof Promise ? (again() ?? target) : target;
      for (let tries = 1; slot !== null; tries += 1) {
        if ((await attempt(request, response, { slot, body })) === 'done') return;
        if (!mayRepeat || tries >= MAX_TRIES) break;
        retried += 1;
        const newest = again();
        // First where it belongs now, on a fresh connection; then where it belonged before.
        slot = tries === 1 ? (newest ?? null) : (newest?.fallback ?? newest ?? null);
      }
      if (response.destroyed) return;
      response.writeHead(502, 'Bad Gateway', { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' });
      response.end('the container does not answer\n');
    },
    forget: (isKnown) => pools.forget(isKnown),
    close: () => pools.close(),
  };
}

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { CREDENTIAL_HEADERS, refuseDoubled } from './credentials.ts';
import { RefusedRequest } from './problem.ts';

/** Headers that must come once: two servers in a row may look at different ones, and so may two lines of this program. */
const SINGLE_HEADERS: ReadonlySet<string> = new Set([...CREDENTIAL_HEADERS, 'content-encoding', 'content-type', 'host']);

const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)/i;

/**
 * Guards every request of a listener, also those that no route answers, against what could be read in two ways.
 *
 * Before anything is looked up: a header of {@link SINGLE_HEADERS} that comes twice, and HTTP/1.1 without `Host`, are 400. Before a
 * body is read: one that is compressed, or in another character set than UTF-8, is 415.
 */
export function addTransportGuards(app: FastifyInstance): void {
  app.addHook('onRequest', (request, _reply, done) => settle(done, () => refuseAmbiguous(request)));
  app.addHook('preParsing', (request, _reply, _payload, done) => settle(done, () => refuseEncoded(request)));
}

function settle(done: (error?: Error) => void, check: () => void): void {
  try {
    check();
  } catch (error) {
    return done(error as Error);
  }
  done();
}

/** Refuses what two readers of the headers could understand in two ways. */
export function refuseAmbiguous(request: FastifyRequest): void {
  refuseDoubled(request, SINGLE_HEADERS);
  if (request.headers.host === undefined && request.raw.httpVersion === '1.1')
    throw new RefusedRequest({ code: 'bad_request', message: 'the request has no Host header', field: 'host' });
}

function refuseEncoded(request: FastifyRequest): void {
  const { headers } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  if (!hasBody || request.is404) return;
  const encoding = headers['content-encoding']?.trim().toLowerCase();
  if (encoding !== undefined && encoding !== 'identity')
    throw unsupported('content-encoding', 'the body must be sent without Content-Encoding');
  const charset = CHARSET.exec(headers['content-type'] ?? '')?.[1]?.toLowerCase();
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8')
    throw unsupported('content-type', 'the body must be sent in UTF-8, which Content-Type may name as its charset');
}

const unsupported = (field: string, message: string): RefusedRequest =>
  new RefusedRequest({ code: 'unsupported_media_type', message, field });

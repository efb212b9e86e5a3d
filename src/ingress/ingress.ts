import { createServer, STATUS_CODES, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { IngressRoutes, IngressTarget } from '../ports/ingress-routes.ts';
import type { Log } from '../ports/log.ts';
import type { Admit, OwnAnswer } from './admit.ts';
import type { InFlightTable } from './in-flight.ts';
import type { SenderOf } from './headers.ts';
import type { Proxy } from './proxy.ts';
import { mayUpgrade, passUpgrade, refuseUpgrade } from './upgrade.ts';

/** How long clients may take, in milliseconds. */
export interface IngressTimeouts {
  /** For the headers of a request. */
  readonly headersMs: number;
  /** Between two pieces of a body. */
  readonly idleMs: number;
  /** How long an idle connection stays open. */
  readonly keepAliveMs: number;
}

/** Enough for slow lines, and too little for whoever holds connections for nothing. */
export const INGRESS_TIMEOUTS: IngressTimeouts = { headersMs: 10_000, idleMs: 30_000, keepAliveMs: 72_000 };

/** What the ingress needs. */
export interface IngressDeps {
  readonly routes: IngressRoutes;
  readonly admit: Admit;
  readonly proxy: Proxy;
  readonly inFlight: InFlightTable;
  readonly senderOf: SenderOf;
  readonly timeouts: IngressTimeouts;
  /** Told the status of each answer. */
  readonly onAnswered: (status: number) => void;
  readonly log: Log;
}

const MAX_HEADERS = 200;
const MAX_HEADER_BYTES = 32 * 1024;

const NO_HOST: OwnAnswer = { status: 400, text: 'the request must name one host' };
const NO_PATH: OwnAnswer = { status: 400, text: 'the request must name a path, without a fragment' };
const NOBODY: OwnAnswer = { status: 404, text: 'no container serves this host' };

/** A host, with a port where it has one; `[` begins an IPv6 address. Source: RFC 9110 section 7.2. */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:@/?#\\[\]]+)(?::[0-9]{0,5})?$/;

/** How often a header came: Node keeps the first of two hosts in silence. */
const countOf = (raw: readonly string[], name: string): number =>
  raw.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name).length;

/** The host of a `Host` header in lower case, without its port and a dot at its end. */
export function hostOf(header: string): string {
  const withoutPort = header.startsWith('[') ? header.slice(0, header.indexOf(']') + 1) : (header.split(':', 1)[0] ?? '');
  return withoutPort.toLowerCase().replace(/\.$/, '');
}

/** Makes the server that passes requests on to containers, by their host. It does not listen yet. */
export function makeIngress(deps: IngressDeps): Server {
  const { routes, admit, proxy, inFlight, senderOf, timeouts, log } = deps;

  /** Where a request goes; or what it is answered. */
  function targetOf(request: IncomingMessage): IngressTarget | OwnAnswer {
    const { host } = request.headers;
    if (host === undefined || !HOST.test(host) || countOf(request.rawHeaders, 'host') !== 1) return NO_HOST;
    // An address as proxies are asked for it must be of the same host.
    if (request.url === '*' || request.url?.includes('#') === true) return NO_PATH;
    if (request.url?.startsWith('/') === false) {
      const url = URL.canParse(request.url) ? new URL(request.url) : null;
      if (url === null || hostOf(url.host) !== hostOf(host)) return NO_HOST;
      request.url = url.pathname + url.search;
    }
    return routes.find(hostOf(host)) ?? NOBODY;
  }

  function answer(response: ServerResponse, { status, text, headers = {} }: OwnAnswer): void {
    // With its reason, so that none of a unit's is left over where its answer could not be passed on.
    response.writeHead(status, STATUS_CODES[status] ?? '', {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'no-store',
      ...headers,
    });
    response.end(text === '' ? undefined : `${text}\n`);
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = targetOf(request);
    if ('status' in target) return answer(response, target);
    const refusal = admit(request, target);
    const own = refusal instanceof Promise ? await refusal : refusal;
    if (own !== null) return answer(response, own);
    const { origin } = request.headers;
    if (target.shim.origins !== null && origin !== undefined) {
      response.setHeader('access-control-allow-origin', origin);
      response.setHeader('vary', 'Origin');
    }
    // A look at a key takes its time: the deployment of before may be gone by now.
    const { host = '' } = request.headers;
    const again = (): IngressTarget | undefined => routes.find(hostOf(host));
    await proxy.pass(request, response, refusal instanceof Promise ? (again() ?? target) : target, again);
  }

  /** The answer to the newest request of each connection. */
  const last = new WeakMap<Socket, ServerResponse<IncomingMessage>>();

  const server = createServer(
    {
      requireHostHeader: false,
      headersTimeout: timeouts.headersMs,
      // A body may be large and its line slow: what counts is that it goes on.
      requestTimeout: 0,
      keepAliveTimeout: timeouts.keepAliveMs,
      connectionsCheckingInterval: 1000,
      maxHeaderSize: MAX_HEADER_BYTES,
      shouldUpgradeCallback: mayUpgrade,
    },
    (request, response) => {
      last.set(request.socket, response);
      // Whoever comes while the server closes is told that the connection ends with this answer.
      if (!server.listening) response.shouldKeepAlive = false;
      serve(request, response)
        .catch((err: unknown) => {
          log.error({ err }, 'a request to a container failed');
          if (response.headersSent) response.destroy();
          else answer(response, { status: 500, text: 'internal server error' });
        })
        .finally(() => deps.onAnswered(response.statusCode));
    },
  );
  server.maxHeadersCount = MAX_HEADERS;
  // Set once for a connection. Silence is the client's fault only while its request is not complete: units may take as long as they like.
  server.setTimeout(timeouts.idleMs, (socket: Socket) => {
    const response = last.get(socket);
    if (response === undefined || response.writableFinished || !response.req.complete) socket.destroy();
  });
  server.on('upgrade', (request, socket, head) => {
    // An older Node.js does not ask before.
    if (!mayUpgrade(request)) return refuseUpgrade(socket, 400, 'this request cannot become another protocol');
    const target = targetOf(request);
    if ('status' in target) return refuseUpgrade(socket, target.status, target.text);
    const pass = (own: OwnAnswer | null): void => {
      if (own === null) passUpgrade({ request, socket: socket as Socket, head, target, inFlight, sender: senderOf(request) });
      else refuseUpgrade(socket, own.status, own.text);
    };
    const refusal = admit(request, target);
    if (!(refusal instanceof Promise)) return pass(refusal);
    refusal.then(pass).catch(() => socket.destroy());
  });
  server.on('clientError', (_err, socket) => {
    if (socket.writable) refuseUpgrade(socket, 400, 'the request cannot be read as HTTP');
    else socket.destroy();
  });
  return server;
}

import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RefusedRequest } from './problem.ts';
import { targetOf } from './request-target.ts';
import { refuseAmbiguous } from './transport-guards.ts';

const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'] as const;

/** The host of an authority such as `[::1]:7979`, in lower case, without its port and a final dot; null where it is none. */
function hostOf(authority: string): string | null {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::\d{1,5})?$/.exec(authority.toLowerCase());
  return match?.[1] ?? null;
}

/** The host that the address of an `Origin` header names; null for `null` and what is no address. */
function originAuthority(origin: string): string | null {
  const match = /^https?:\/\/([^/?#@]+)$/i.exec(origin);
  return match?.[1]?.toLowerCase() ?? null;
}

/**
 * Guards a listener against browsers, for which loopback is no boundary: a page anywhere can send requests here, under any name that
 * its owner lets point here.
 *
 * A `Host`, or the authority of an absolute address, outside the list is 421 (`misdirected`). An `Origin` that is not this very host and port is 403 (`foreign_origin`).
 * `allowedHosts` are names or addresses without port; loopback's are always allowed. `allowedOrigins` are pages whose proxy sends their
 * requests on under another host or port: they may send requests like those of this very host, and nothing tells a browser that they may
 * read answers of another origin. Source: architecture section 6.
 */
export function addBrowserGuards(
  app: FastifyInstance,
  options: { readonly allowedHosts: readonly string[]; readonly allowedOrigins?: readonly string[] },
): void {
  const allowed = new Set([...LOOPBACK_NAMES, ...options.allowedHosts.map(bracketed)].map((host) => host.toLowerCase()));
  const origins = new Set(options.allowedOrigins);
  app.addHook('onRequest', (request, _reply, done) => {
    try {
      refuseForeign(request, allowed, origins);
      done();
    } catch (error) {
      done(error as Error);
    }
  });
}

/** An IPv6 address as it stands in a `Host` header. */
const bracketed = (host: string): string => (host.includes(':') && !host.startsWith('[') ? `[${host}]` : host);

function refuseForeign(request: FastifyRequest, allowed: ReadonlySet<string>, origins: ReadonlySet<string>): void {
  // Which host a request means must be certain before it is judged.
  refuseAmbiguous(request);
  const named = request.headers.host ?? '';
  const isForeign = (authority: string): boolean => !allowed.has(hostOf(authority) ?? '');
  if (isForeign(named)) {
    throw new RefusedRequest({ code: 'misdirected', message: 'this server does not answer for the host that the Host header names' });
  }
  const authority = targetOf(request).authority ?? named;
  if (isForeign(authority)) {
    throw new RefusedRequest({ code: 'misdirected', message: 'this server does not answer for the host that the address names' });
  }
  const { origin } = request.headers;
  if (origin === undefined || origins.has(origin)) return;
  if (originAuthority(origin) !== authority.toLowerCase()) {
    throw new RefusedRequest({ code: 'foreign_origin', message: 'requests of pages from elsewhere are not answered' });
  }
}

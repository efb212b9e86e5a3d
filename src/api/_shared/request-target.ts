import type { FastifyRequest } from 'fastify';

const ABSOLUTE = /^https?:\/\/([^/?#]*)/i;

/** Where a request goes, as its first line says it. */
interface RequestTarget {
  /** The authority of an absolute target such as `http://host/path`; null for the usual ones, which leave it to `Host`. */
  readonly authority: string | null;
  /** The path as it came: no percent escape is opened, so that `%2F` splits nothing. */
  readonly path: string;
}

/** Reads the target of a request. Proxies send it in absolute form, whose authority counts more than `Host` (RFC 9112, section 3.2.2). */
export function targetOf(request: FastifyRequest): RequestTarget {
  const url = request.raw.url ?? '/';
  const absolute = ABSOLUTE.exec(url);
  const rest = absolute === null ? url : url.slice(absolute[0].length);
  const end = rest.search(/[?#]/);
  const path = end === -1 ? rest : rest.slice(0, end);
  return { authority: absolute?.[1] ?? null, path: path === '' ? '/' : path };
}

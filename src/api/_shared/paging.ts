import type { FastifyReply, FastifyRequest } from 'fastify';
import type { PageCursors } from '../../app/page-cursors.ts';
import { RefusedRequest } from './problem.ts';
import { queryText, queryWhole } from './query.ts';

/** Items of a page: at most, and where a query names no number. */
const MAX_PAGE_SIZE = 1000;
const DEFAULT_PAGE_SIZE = 100;

/** Which page of a list a request asks for. `after` is the position of the last item of the page before; null for the first page. */
export interface WantedPage {
  readonly limit: number;
  readonly after: string | null;
}

/** Reads `limit` (1 to 1000, else 100) and `cursor` of a query; refuses a cursor that was not issued for the list named `list`. */
export function readPage(request: FastifyRequest, cursors: PageCursors, list: string): WantedPage {
  const limit = queryWhole(request, 'limit', { min: 1, max: MAX_PAGE_SIZE, fallback: DEFAULT_PAGE_SIZE });
  const cursor = queryText(request, 'cursor');
  if (cursor === undefined) return { limit, after: null };
  const after = cursors.read(list, cursor);
  if (after !== null) return { limit, after };
  throw new RefusedRequest({ code: 'invalid_request', message: 'cursor must be the one of a page of this very list', field: 'cursor' });
}

/**
 * Says where the next page is: a `Link` header whose target is relative to the address of this one, as RFC 8288 has it, so that it is
 * right behind every proxy. `query` is what the list was asked for beside the page.
 */
export function linkNext(
  reply: FastifyReply,
  page: { readonly path: string; readonly query: Readonly<Record<string, string>>; readonly limit: number; readonly cursor: string },
): void {
  const query = new URLSearchParams({ ...page.query, limit: String(page.limit), cursor: page.cursor });
  reply.header('link', `<${page.path}?${query.toString()}>; rel="next"`);
}

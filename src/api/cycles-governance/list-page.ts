import type { FastifyRequest } from 'fastify';
import type { PageCursors } from '../../app/page-cursors.ts';
import type { SortedPage } from '../../ports/governance-reads.ts';
import { parseRfc3339 } from '../../core/rfc3339.ts';
import { RefusedRequest } from '../_shared/problem.ts';
import { queryText } from '../_shared/query.ts';

/** Items of a page: at most, and where a query names no number. Source: Cycles governance, `limit` of every list. */
const MAX_LIMIT = 100;
const DEFAULT_LIMIT = 50;
const MAX_SEARCH_LENGTH = 128;

/** What an item is sorted by, and its id, which breaks ties: where a page ended. */
export interface ListPosition {
  readonly value: string | number | null;
  readonly id: string;
}

/** Which page of a list a request asks for, in which order. `search` is in lower case; null where nothing is looked for. */
export interface ListPage<K extends string> {
  readonly limit: number;
  readonly sortBy: K;
  readonly descending: boolean;
  readonly search: string | null;
  /** The last item of the page before; null for the first page. */
  readonly after: ListPosition | null;
  /** The cursor behind an item of this page. */
  readonly cursorAt: (position: ListPosition) => string;
}

/** The page as a store is asked for it: one item more than it shows tells whether others follow. */
export const askedPage = <K extends string>({ sortBy, descending, after, limit }: ListPage<K>): SortedPage<K> => ({
  sortBy,
  descending,
  after,
  limit: limit + 1,
});

/** What a list takes: its name, by what it can be sorted (the first where nothing is said), and the filters as they were understood. */
export interface ListRules<K extends string> {
  readonly list: string;
  readonly sortKeys: readonly [K, ...K[]];
  readonly cursors: PageCursors;
  /** Everything that narrows the list; a cursor is good for the same filters only. */
  readonly filters: unknown;
}

const refused = (field: string, message: string): RefusedRequest => new RefusedRequest({ code: 'invalid_request', message, field });

/** One parameter of a query as it stands; undefined where it is not given or blank. */
export function filterText(request: FastifyRequest, name: string): string | undefined {
  const text = queryText(request, name)?.trim();
  return text === '' ? undefined : text;
}

/** One of `allowed` in a query; undefined where it is not given. Refuses anything else. */
export function filterOneOf<T extends string>(request: FastifyRequest, name: string, allowed: readonly T[]): T | undefined {
  const text = filterText(request, name);
  if (text === undefined) return undefined;
  const found = allowed.find((each) => each === text);
  if (found === undefined) throw refused(name, `${name} must be one of ${allowed.join(', ')}`);
  return found;
}

/** `true` or `false` in a query; undefined where it is not given. */
export function filterFlag(request: FastifyRequest, name: string): boolean | undefined {
  const text = filterOneOf(request, name, ['true', 'false']);
  return text === undefined ? undefined : text === 'true';
}

/** A moment in a query; undefined where it is not given. */
export function filterMoment(request: FastifyRequest, name: string): number | undefined {
  const text = filterText(request, name);
  if (text === undefined) return undefined;
  const ms = parseRfc3339(text);
  if (ms === null) throw refused(name, `${name} must be a moment in RFC 3339, such as 2026-04-09T12:00:00Z`);
  return ms;
}

/** `from` and `to` of a query, both of the range; refuses a `from` that lies after `to`. */
export function filterRange(request: FastifyRequest): { readonly fromMs?: number; readonly toMs?: number } {
  const fromMs = filterMoment(request, 'from');
  const toMs = filterMoment(request, 'to');
  if (fromMs !== undefined && toMs !== undefined && fromMs > toMs) throw refused('from', 'from must not lie after to');
  return { ...(fromMs === undefined ? {} : { fromMs }), ...(toMs === undefined ? {} : { toMs }) };
}

/** A whole number out of bounds is taken for the nearest one: the dashboard asks for 2000. What is no number is refused. */
function limitOf(request: FastifyRequest): number {
  const text = filterText(request, 'limit');
  if (text === undefined) return DEFAULT_LIMIT;
  if (!/^[+-]?\d+$/.test(text)) throw refused('limit', `limit must be a whole number from 1 to ${MAX_LIMIT}`);
  return Math.min(MAX_LIMIT, Math.max(1, Number(text)));
}

/** The text that a list is searched for, trimmed; null where there is none. `field` names it where it is too long. */
export function searchText(text: string | undefined, field = 'search'): string | null {
  const trimmed = text?.trim() ?? '';
  if (trimmed.length > MAX_SEARCH_LENGTH) throw refused(field, `${field} must have at most ${MAX_SEARCH_LENGTH} characters`);
  // Only ASCII letters, as the stores compare them.
  return trimmed === '' ? null : trimmed.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/**
 * Refuses an action on many things whose filter says nothing once its search is trimmed: it would be one on everything there is. Source:
 * Cycles governance, bulk actions: an empty filter is refused.
 */
export function refuseBlankFilter(filter: Readonly<Record<string, unknown>>, search: string | null): void {
  const others = Object.entries(filter).filter(([name, value]) => name !== 'search' && value !== undefined);
  if (search === null && others.length === 0) throw refused('filter', 'filter must name at least one thing to filter by');
}

/**
 * Reads `limit` (clamped to 1 to 100, else 50), `search`, `sort_by`, `sort_dir` (descending where nothing is said) and `cursor` of a
 * list's query. Parameters that nobody knows are passed over. Refuses with `invalid_request` a limit that is no number, an unknown sort,
 * a search above 128 characters, and a cursor that was not issued for this very list, order and filter.
 * Source: Cycles governance, the lists' parameters.
 */
export function readListPage<K extends string>(request: FastifyRequest, rules: ListRules<K>): ListPage<K> {
  const limit = limitOf(request);
  const search = searchText(queryText(request, 'search'));
  // A list with one order has no such parameter, and those that nobody knows are passed over.
  const isSortable = rules.sortKeys.length > 1;
  const sortBy = (isSortable ? filterOneOf(request, 'sort_by', rules.sortKeys) : undefined) ?? rules.sortKeys[0];
  const descending = !isSortable || filterOneOf(request, 'sort_dir', ['asc', 'desc']) !== 'asc';
  const binding = JSON.stringify([rules.list, sortBy, descending, search, rules.filters]);
  const cursor = filterText(request, 'cursor');
  return {
    limit,
    sortBy,
    descending,
    search,
    after: cursor === undefined ? null : positionOf(rules.cursors.read(binding, cursor)),
    cursorAt: ({ value, id }) => rules.cursors.issue(binding, JSON.stringify([value, id])),
  };
}

function positionOf(text: string | null): ListPosition {
  if (text === null) throw refused('cursor', 'cursor must be the one of a page of this very list, with the same filters and order');
  const [value, id] = JSON.parse(text) as [ListPosition['value'], string];
  return { value, id };
}

/**
 * What a list answers beside its items: whether more follow and, where they do, the cursor behind the last one shown. `rows` are up to
 * one more than the page holds.
 */
export function listAnswer<K extends string, T>(
  page: ListPage<K>,
  rows: readonly T[],
  positionAt: (row: T, sortBy: K) => ListPosition,
): { readonly shown: readonly T[]; readonly end: { readonly has_more: boolean; readonly next_cursor?: string } } {
  const shown = rows.slice(0, page.limit);
  const last = shown.at(-1);
  if (rows.length <= page.limit || last === undefined) return { shown, end: { has_more: false } };
  return { shown, end: { has_more: true, next_cursor: page.cursorAt(positionAt(last, page.sortBy)) } };
}

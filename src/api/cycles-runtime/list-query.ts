import type { FastifyRequest } from 'fastify';
import type { LevelFilter } from '../../app/cycles/read-spending.ts';
import type { PageCursors } from '../../app/page-cursors.ts';
import type { MomentRange } from '../../core/cycles/reservation-query.ts';
import { MAX_LEVEL_LENGTH, SUBJECT_LEVELS } from '../../core/cycles/scope.ts';
import { parseRfc3339 } from '../../core/rfc3339.ts';
import { RefusedRequest } from '../_shared/problem.ts';
import { queryText, queryWhole } from '../_shared/query.ts';

/** Items of a page: at most, and where a query names no number. Source: Cycles protocol, `Limit`. */
const MAX_LIMIT = 200;
const DEFAULT_LIMIT = 50;

const LEVEL_VALUE = /^[A-Za-z0-9_.-]+$/;

/** Refuses a parameter of a query. */
export const refusedParameter = (field: string, message: string): RefusedRequest =>
  new RefusedRequest({ code: 'invalid_request', message, field });

/** One parameter as it stands; undefined where it is not given or blank. Clients send unset variables as blanks. */
export function parameter(request: FastifyRequest, name: string): string | undefined {
  const text = queryText(request, name)?.trim();
  return text === '' ? undefined : text;
}

/** One of `allowed`; undefined where it is not given. */
export function parameterOf<T extends string>(request: FastifyRequest, name: string, allowed: readonly T[]): T | undefined {
  const text = parameter(request, name);
  if (text === undefined) return undefined;
  const found = allowed.find((each) => each === text);
  if (found === undefined) throw refusedParameter(name, `${name} must be one of ${allowed.join(', ')}`);
  return found;
}

/** The levels of a subject that a query names, in lower case; a value that no scope can have is refused. */
export function levelsOf(request: FastifyRequest): LevelFilter {
  const levels: Record<string, string> = {};
  for (const level of SUBJECT_LEVELS) {
    const value = parameter(request, level);
    if (value === undefined) continue;
    if (value.length > MAX_LEVEL_LENGTH || !LEVEL_VALUE.test(value))
      throw refusedParameter(level, `${level} must have 1 to ${MAX_LEVEL_LENGTH} letters, digits, ".", "_" and "-"`);
    levels[level] = value.toLowerCase();
  }
  return levels;
}

function momentOf(request: FastifyRequest, name: string): number | undefined {
  const text = parameter(request, name);
  if (text === undefined) return undefined;
  const ms = parseRfc3339(text);
  if (ms === null) throw refusedParameter(name, `${name} must be an RFC 3339 timestamp such as 2026-12-31T23:59:59Z`);
  return ms;
}

/** A window of moments, both ends inclusive; undefined where neither end is given. One that ends before it begins is refused. */
export function rangeOf(request: FastifyRequest, fromName: string, toName: string): MomentRange | undefined {
  const from = momentOf(request, fromName);
  const to = momentOf(request, toName);
  if (from === undefined && to === undefined) return undefined;
  if (from !== undefined && to !== undefined && from > to) throw refusedParameter(fromName, `${fromName} must not be later than ${toName}`);
  return { ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) };
}

/** `limit` of a query: 1 to 200, 50 where it is not given. Anything else is refused. */
export const limitOf = (request: FastifyRequest): number =>
  queryWhole(request, 'limit', { min: 1, max: MAX_LIMIT, fallback: DEFAULT_LIMIT });

/** Where a page begins: what the cursor of a query stands for, in the list that `binding` names; null for the first page. */
export function positionOf<T>(request: FastifyRequest, cursors: PageCursors, binding: string): T | null {
  const cursor = parameter(request, 'cursor');
  if (cursor === undefined) return null;
  const text = cursors.read(binding, cursor);
  if (text === null)
    throw refusedParameter('cursor', 'cursor must be the one of a page of this very list, with the same filters and order');
  // Only we issue cursors of this list.
  return JSON.parse(text) as T;
}

/** How a page ends: whether more follow and, where they do, the cursor behind the last one shown. */
export function pageEndText<T>(cursors: PageCursors, binding: string, position: T | null): string {
  if (position === null) return '"has_more":false';
  return `"has_more":true,"next_cursor":${JSON.stringify(cursors.issue(binding, JSON.stringify(position)))}`;
}

import type { FastifyRequest } from 'fastify';
import { RefusedRequest } from './problem.ts';

/** One parameter of a query; undefined where it is not given. One that comes twice is refused, for nobody knows which is meant. */
export function queryText(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Readonly<Record<string, string | string[] | undefined>>)[name];
  if (Array.isArray(value)) throw new RefusedRequest({ code: 'invalid_request', message: `${name} must come once`, field: name });
  return value;
}

/** Refuses parameters that a surface does not know, where guessing would be worse. */
export function refuseUnknownQuery(request: FastifyRequest, known: readonly string[]): void {
  const unknown = Object.keys(request.query as object).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new RefusedRequest({
    code: 'invalid_request',
    message: `${unknown.slice(0, 100)} is not a known parameter`,
    field: unknown.slice(0, 100),
  });
}

/** A whole number in the query, between the bounds; `fallback` where it is not given. */
export function queryWhole(
  request: FastifyRequest,
  name: string,
  bounds: { readonly min: number; readonly max: number; readonly fallback: number },
): number {
  const text = queryText(request, name);
  if (text === undefined) return bounds.fallback;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : -1;
  if (value >= bounds.min && value <= bounds.max) return value;
  throw new RefusedRequest({
    code: 'invalid_request',
    message: `${name} must be a whole number from ${bounds.min} to ${bounds.max}`,
    field: name,
  });
}

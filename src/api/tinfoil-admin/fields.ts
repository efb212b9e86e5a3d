import type { FastifyRequest } from 'fastify';
import { parseRfc3339 } from '../../core/rfc3339.ts';
import { USAGE_WINDOWS, usageWindow, type UsageWindow } from '../../core/usage/windows.ts';
import { RefusedRequest } from '../_shared/problem.ts';
import { queryText } from '../_shared/query.ts';

/** The moment of an `expires_at`; null stands for never. */
export function expiryOf(text: string | null): number | null {
  if (text === null) return null;
  const ms = parseRfc3339(text);
  if (ms !== null) return ms;
  throw new RefusedRequest({
    code: 'invalid_request',
    message: 'expires_at must be an RFC 3339 timestamp such as 2026-12-31T23:59:59Z',
    field: 'expires_at',
  });
}

/** The cap that a `max_tokens` asks for: 0 stands for none, on update by the document and on create likewise. */
export const capOf = (maxTokens: number | bigint | null): bigint | null =>
  maxTokens === null || BigInt(maxTokens) === 0n ? null : BigInt(maxTokens);

/** The window that the query's `time` names; null where it names none. */
export function timeOf(request: FastifyRequest): UsageWindow | null {
  const text = queryText(request, 'time');
  return text === undefined ? null : windowOf(text);
}

/** The window of a series: the last 24 hours where the query names none. */
export const seriesTimeOf = (request: FastifyRequest): UsageWindow => windowOf(queryText(request, 'time') ?? '24h');

function windowOf(text: string): UsageWindow {
  const window = usageWindow(text);
  if (window !== undefined) return window;
  const names = USAGE_WINDOWS.map(({ name }) => name).join(', ');
  throw new RefusedRequest({ code: 'invalid_request', message: `time must be one of ${names}`, field: 'time' });
}

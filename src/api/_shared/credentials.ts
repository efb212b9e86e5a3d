import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { RefusedRequest } from './problem.ts';

/** Headers that carry a credential. */
export const CREDENTIAL_HEADERS: ReadonlySet<string> = new Set(['authorization', 'x-admin-api-key', 'x-api-key', 'x-cycles-api-key']);

const BEARER = /^bearer +([\x21-\x7e]+) *$/i;

/** Refuses a request that brings one of these headers (in lower case) more than once: `doubled_header`. */
export function refuseDoubled(request: FastifyRequest, names: ReadonlySet<string>): void {
  const { rawHeaders } = request.raw;
  const seen = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase();
    if (!names.has(name)) continue;
    if (seen.has(name))
      throw new RefusedRequest({ code: 'doubled_header', message: `the header ${name} came more than once`, field: name });
    seen.add(name);
  }
}

/**
 * Refuses a request whose credential header comes more than once (`doubled_header`): Node drops or joins doubles in silence, and two
 * servers in a row may look at different ones. To be called before any look-up.
 */
export const refuseDoubledCredentials = (request: FastifyRequest): void => refuseDoubled(request, CREDENTIAL_HEADERS);

/** The bearer token of a request, or null where there is none. */
export const bearerOf = (request: FastifyRequest): string | null => BEARER.exec(request.headers.authorization ?? '')?.[1] ?? null;

/** Compares two credentials in a time that tells nothing about where they differ, or how long the right one is. */
export function isSameCredential(given: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text, 'utf8').digest();
  return timingSafeEqual(digest(given), digest(right));
}

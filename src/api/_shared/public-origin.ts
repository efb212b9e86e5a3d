import type { FastifyRequest } from 'fastify';

/** The origin for links that leave this server: the declared one, else the one under which the request came. */
const publicOrigin = (request: FastifyRequest, declared: string | null): string => declared ?? `${request.protocol}://${request.host}`;

/** An address on that origin, for a path; what is an address already stays. */
export const publicUrl = (request: FastifyRequest, declared: string | null, target: string): string =>
  target.startsWith('/') ? `${publicOrigin(request, declared)}${target}` : target;

import type { FastifyRequest } from 'fastify';
import { RefusedRequest } from '../_shared/problem.ts';

const MAX_LENGTH = 128;

/** The id of a reservation in the path. Source: Cycles protocol, `ReservationId`. */
export function reservationIdOf(request: FastifyRequest): string {
  const { reservation_id: id = '' } = request.params as { readonly reservation_id?: string };
  if (id.length >= 1 && id.length <= MAX_LENGTH) return id;
  const message = `reservation_id must be a string of 1 to ${MAX_LENGTH} characters`;
  throw new RefusedRequest({ code: 'invalid_request', message, field: 'reservation_id' });
}

import type { FastifyRequest } from 'fastify';
import { reservationSortValue, type ReservationPosition } from '../../../core/cycles/reservation-query.ts';
import { valueOf } from '../../_shared/problem.ts';
import { reservationText } from '../answers.ts';
import { levelsOf, limitOf, pageEndText, parameter, parameterOf, positionOf, rangeOf, refusedParameter } from '../list-query.ts';
import { reservationIdOf } from '../reservation-id.ts';
import { RESERVATION_SORT_KEYS, RESERVATION_STATUSES } from '../reservation-schemas.ts';
import { runtimeCallerOf, sendText, type RuntimeMount } from '../runtime-deps.ts';

const MAX_KEY_LENGTH = 256;

/** What of the larger parts a list shows; names that nobody knows are passed over. Source: Cycles protocol, `include`. */
function projectionOf(request: FastifyRequest): { readonly metadata: boolean; readonly committedMetadata: boolean } {
  const names = (request.query as Readonly<Record<string, string | readonly string[] | undefined>>)['include'] ?? '';
  const tokens = new Set(
    [names]
      .flat()
      .flatMap((part) => part.split(','))
      .map((token) => token.trim()),
  );
  return { metadata: tokens.has('metadata'), committedMetadata: tokens.has('committed_metadata') };
}

function keyOf(request: FastifyRequest): string | undefined {
  const key = parameter(request, 'idempotency_key');
  if (key !== undefined && key.length > MAX_KEY_LENGTH)
    throw refusedParameter('idempotency_key', `idempotency_key must have at most ${MAX_KEY_LENGTH} characters`);
  return key;
}

/** `GET /v1/reservations`: a page of a tenant's reservations. */
export const mountListReservations: RuntimeMount = (app, { readSpending, cursors }) => {
  const config = { credential: 'either', permission: 'reservations:list' } as const;
  app.get('/v1/reservations', { config }, async (request, reply) => {
    const limit = limitOf(request);
    const state = parameterOf(request, 'status', RESERVATION_STATUSES);
    const requestKey = keyOf(request);
    const created = rangeOf(request, 'from', 'to');
    const expires = rangeOf(request, 'expires_from', 'expires_to');
    const finalized = rangeOf(request, 'finalized_from', 'finalized_to');
    const sortBy = parameterOf(request, 'sort_by', RESERVATION_SORT_KEYS) ?? 'created_at_ms';
    const descending = parameterOf(request, 'sort_dir', ['asc', 'desc']) !== 'asc';
    const filters = {
      levels: levelsOf(request),
      ...(state === undefined ? {} : { state }),
      ...(requestKey === undefined ? {} : { requestKey }),
      ...(created === undefined ? {} : { created }),
      ...(expires === undefined ? {} : { expires }),
      ...(finalized === undefined ? {} : { finalized }),
    };
    const caller = runtimeCallerOf(request);
    const owner = caller.kind === 'tenant' ? caller.tenant.id : null;
    // Not what is shown of each: that may change from page to page.
    const binding = JSON.stringify(['reservations', owner, filters, sortBy, descending]);
    const after = positionOf<ReservationPosition>(request, cursors, binding);
    const found = valueOf(await readSpending.reservations(caller, { ...filters, sortBy, descending, after, limit }));
    const shown = found.slice(0, limit);
    const last = found.length > limit ? shown.at(-1) : undefined;
    const end = last === undefined ? null : { value: reservationSortValue(last, sortBy), id: last.id };
    const projection = projectionOf(request);
    const items = shown.map((reservation) => reservationText(reservation, projection)).join(',');
    return sendText(reply, `{"reservations":[${items}],${pageEndText(cursors, binding, end)}}`);
  });
};

/** `GET /v1/reservations/{id}`: one reservation, whole. */
export const mountGetReservation: RuntimeMount = (app, { readSpending }) => {
  const config = { credential: 'either', permission: 'reservations:list' } as const;
  app.get('/v1/reservations/:reservation_id', { config }, async (request, reply) => {
    const reservation = valueOf(await readSpending.reservation(runtimeCallerOf(request), reservationIdOf(request)));
    return sendText(reply, reservationText(reservation, { metadata: true, committedMetadata: true }));
  });
};

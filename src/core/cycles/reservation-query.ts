import type { Reservation, ReservationState } from '../ledger/reservation.ts';
import { meetsOneOfEach, type ScopeCondition } from './scope.ts';

/** What reservations can be sorted by. Source: Cycles protocol, listReservations. */
export type ReservationSortKey = 'reservation_id' | 'tenant' | 'scope_path' | 'status' | 'reserved' | 'created_at_ms' | 'expires_at_ms';

/** Bounds of a moment in milliseconds, both inclusive; an absent one is open. */
export interface MomentRange {
  readonly from?: number;
  readonly to?: number;
}

/**
 * Which reservations of Cycles clients are meant: those of a tenant that meet all that is given. `finalized` leaves out whatever was
 * neither committed nor released. Of each list in `scopes` one condition must hold.
 */
export interface ReservationFilter {
  readonly tenantId: string;
  readonly state?: ReservationState;
  readonly requestKey?: string;
  readonly created?: MomentRange;
  readonly expires?: MomentRange;
  readonly finalized?: MomentRange;
  readonly scopes: readonly (readonly ScopeCondition[])[];
}

/** Where a page ended: what its last one was sorted by (amounts as decimal text), and its id. */
export interface ReservationPosition {
  readonly value: string | number;
  readonly id: string;
}

/** A part of a list, in the order of `sortBy` and, where that is the same, of the id; both descending or none. */
export interface ReservationQuery extends ReservationFilter {
  readonly sortBy: ReservationSortKey;
  readonly descending: boolean;
  readonly after: ReservationPosition | null;
  readonly limit: number;
}

/** What `reservation` is sorted by. */
export function reservationSortValue(reservation: Reservation, sortBy: ReservationSortKey): string | number {
  switch (sortBy) {
    case 'reservation_id':
      return reservation.id;
    case 'tenant':
      return reservation.tenantId;
    case 'scope_path':
      return reservation.client?.scopePath ?? '';
    case 'status':
      return reservation.state;
    case 'reserved':
      return `${reservation.client?.amount ?? 0n}`;
    case 'created_at_ms':
      return reservation.createdAtMs;
    case 'expires_at_ms':
      return reservation.expiresAtMs;
  }
}

/** When a reservation reached its end by somebody's act; null for one that holds or ran out. Source: Cycles protocol, `finalized_at_ms`. */
export const finalizedAtOf = ({ state, finalizedAtMs }: Reservation): number | null =>
  state === 'COMMITTED' || state === 'RELEASED' ? finalizedAtMs : null;

const isIn = (moment: number, range: MomentRange | undefined): boolean =>
  range === undefined || (moment >= (range.from ?? -Infinity) && moment <= (range.to ?? Infinity));

/** Whether `reservation` is one of those that `filter` means. */
export function matchesReservation(reservation: Reservation, filter: ReservationFilter): boolean {
  const { client } = reservation;
  if (client === null || client === undefined || reservation.tenantId !== filter.tenantId) return false;
  const finalizedAtMs = finalizedAtOf(reservation);
  return (
    (filter.state === undefined || reservation.state === filter.state) &&
    (filter.requestKey === undefined || client.requestKey === filter.requestKey) &&
    isIn(reservation.createdAtMs, filter.created) &&
    isIn(reservation.expiresAtMs, filter.expires) &&
    (filter.finalized === undefined || (finalizedAtMs !== null && isIn(finalizedAtMs, filter.finalized))) &&
    meetsOneOfEach(client.scopePath, filter.scopes)
  );
}

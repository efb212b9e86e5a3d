import { accepted, rejected } from '../rejection.ts';
import { refuse, type Verb } from '../verb.ts';
import type { ExtendCommand } from './commands.ts';
import { clientReservation, noReservation } from './commit.ts';
import { decideOnce, idempotencyNeeds } from './idempotency.ts';
import { refuseClosedTenant } from './refusals.ts';

/** When an extended reservation expires, milliseconds since the epoch. */
export interface ExtendAnswer {
  readonly reservationId: string;
  readonly expiresAtMs: number;
  readonly [name: string]: string | number;
}

/**
 * Adds to the present expiry of a reservation, not to now.
 *
 * Rejects, in this order: `idempotency_mismatch`, `reservation_not_found` (also another tenant's, or a gateway call's),
 * `tenant_closed`, `reservation_expired` (no grace here), `reservation_finalized`, `max_extensions_exceeded`. Source: Cycles runtime spec, extend.
 */
export const extendVerb: Verb<ExtendCommand, ExtendAnswer> = {
  needs: (command) => ({ tenantLock: 'shared', reservations: [command.reservationId], ...idempotencyNeeds(command.idempotency) }),
  decide: (state, command, nowMs) =>
    decideOnce(state, command.idempotency, nowMs, () => {
      const reservation = clientReservation(state, command);
      if (reservation === undefined) return refuse(rejected(noReservation(command.reservationId)));
      const closed = refuseClosedTenant(state, reservation.tenantId);
      if (closed !== null) return refuse(rejected(closed));
      const { id } = reservation;
      if (reservation.state === 'EXPIRED' || (reservation.state === 'ACTIVE' && nowMs > reservation.expiresAtMs)) {
        return refuse(rejected({ code: 'reservation_expired', message: `the reservation ${id} expired at ${reservation.expiresAtMs}` }));
      }
      if (reservation.state !== 'ACTIVE') {
        return refuse(rejected({ code: 'reservation_finalized', message: `the reservation ${id} is ${reservation.state}` }));
      }
      if (reservation.extensions >= reservation.maxExtensions) {
        const message = `the reservation ${id} was extended ${reservation.extensions} times, which is all it may be`;
        return refuse(rejected({ code: 'max_extensions_exceeded', message }));
      }
      const extended = { ...reservation, expiresAtMs: reservation.expiresAtMs + command.byMs, extensions: reservation.extensions + 1 };
      return {
        outcome: accepted({ reservationId: id, expiresAtMs: extended.expiresAtMs }),
        effects: [{ type: 'reservation', reservation: extended }],
      };
    }),
};

import { accepted, rejected } from '../rejection.ts';
import { refuse, type Verb } from '../verb.ts';
import type { ReleaseCommand } from './commands.ts';
import { clientReservation, noReservation, refuseLate, refuseSettled } from './commit.ts';
import { decideOnce, idempotencyNeeds } from './idempotency.ts';
import { returnHold } from './settle-hold.ts';

/** What a release returned, decimal int64 in the reservation's unit. */
export interface ReleaseAnswer {
  readonly reservationId: string;
  readonly released: string;
  readonly [name: string]: string;
}

/**
 * Returns what a reservation holds and charges nothing.
 *
 * Rejects, in this order: `idempotency_mismatch`, `reservation_not_found` (also another tenant's, or a gateway call's),
 * `tenant_closed`, `reservation_expired` (past expiry and grace), `reservation_finalized`. Source: Cycles runtime spec, release. Invariants: L2, L4.
 */
export const releaseVerb: Verb<ReleaseCommand, ReleaseAnswer> = {
  needs: (command) => ({ tenantLock: 'shared', reservations: [command.reservationId], ...idempotencyNeeds(command.idempotency) }),
  decide: (state, command, nowMs) =>
    decideOnce(state, command.idempotency, nowMs, () => {
      const reservation = clientReservation(state, command);
      if (reservation === undefined) return refuse(rejected(noReservation(command.reservationId)));
      const unsettleable = refuseSettled(state, reservation) ?? refuseLate(reservation, nowMs);
      if (unsettleable !== null) return refuse(rejected(unsettleable));
      const released = reservation.legs[0]?.amount ?? 0n;
      return {
        outcome: accepted({ reservationId: reservation.id, released: released.toString() }),
        effects: returnHold(reservation, 'release', nowMs),
      };
    }),
};

import { accepted } from '../rejection.ts';
import type { Verb } from '../verb.ts';
import type { ExpireCommand } from './commands.ts';
import { returnHold } from './settle-hold.ts';

/**
 * Returns the hold of a reservation that is past its expiry and grace; any other, settled, unknown, or one that stays until somebody
 * releases it, is left alone, so that the sweep may name a reservation that someone settles meanwhile. The value tells whether it expired. Never rejects.
 *
 * A call's hold may expire before the call ends: its charge is then booked as a debit when it settles. Source: Cycles runtime spec,
 * expiry. Invariants: L2, L4.
 */
export const expireVerb: Verb<ExpireCommand, { readonly expired: boolean }> = {
  needs: (command) => ({ tenantLock: 'shared', reservations: [command.reservationId] }),
  decide: (state, command, nowMs) => {
    const reservation = state.reservation(command.reservationId);
    const isOver =
      reservation?.state === 'ACTIVE' &&
      reservation.client?.untilReleased !== true &&
      nowMs > reservation.expiresAtMs + reservation.graceMs;
    if (reservation === undefined || !isOver) return { outcome: accepted({ expired: false }), effects: [] };
    return { outcome: accepted({ expired: true }), effects: returnHold(reservation, 'expire', nowMs) };
  },
};

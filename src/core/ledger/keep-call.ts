import { accepted } from '../rejection.ts';
import type { Verb } from '../verb.ts';
import type { KeepCallCommand } from './commands.ts';

/**
 * Keeps the hold of a call in flight, and remembers the output seen so far for whoever settles it if its owner dies.
 *
 * The value tells whether the hold still stands; a hold that expired does not come back, its checkpoint is kept all the same. Never
 * rejects.
 */
export const keepCallVerb: Verb<KeepCallCommand, { readonly active: boolean }> = {
  needs: (command) => ({ tenantLock: 'shared', reservations: [command.reservationId] }),
  decide: (state, command, nowMs) => {
    const reservation = state.reservation(command.reservationId);
    if (reservation === undefined || reservation.settledAtMs !== null) return { outcome: accepted({ active: false }), effects: [] };
    const active = reservation.state === 'ACTIVE';
    const expiresAtMs = active ? Math.max(reservation.expiresAtMs, nowMs + command.ttlMs) : reservation.expiresAtMs;
    const kept = { ...reservation, expiresAtMs, checkpoint: command.checkpoint };
    return { outcome: accepted({ active }), effects: [{ type: 'reservation', reservation: kept }] };
  },
};

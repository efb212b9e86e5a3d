import type { PlainJson } from '../json/plain-json.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { balancesAfter, type BalanceLine } from './balance-line.ts';
import type { ExtendCommand } from './commands.ts';
import { clientReservation } from './commit.ts';
import { decideOnce, idempotencyNeeds } from './idempotency.ts';
import { refuseClosedTenant } from './refusals.ts';
import { heldLegs } from './settle-hold.ts';

/** When an extended reservation expires, milliseconds since the epoch, and the balances in its `unit`, which it leaves as they are. */
interface KeptAnswer {
  readonly reservationId: string;
  readonly expiresAtMs: number;
  readonly unit: string;
  readonly balances: readonly BalanceLine[];
  readonly [name: string]: PlainJson;
}

/** The same, with how long it still lasts at this very moment: 0 where it holds no more. */
export interface ExtendAnswer extends KeptAnswer {
  readonly remainingTtlMs: number;
}

function decideExtend(state: State, command: ExtendCommand, nowMs: number): Decision<KeptAnswer> {
  const reservation = clientReservation(state, command);
  if ('code' in reservation) return refuse(rejected(reservation));
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
  const accounts = heldLegs(state, reservation).map(({ account }) => account);
  return {
    outcome: accepted({
      reservationId: id,
      expiresAtMs: extended.expiresAtMs,
      unit: accounts[0]?.unit ?? '',
      balances: balancesAfter(accounts, []),
    }),
    effects: [{ type: 'reservation', reservation: extended }],
  };
}

/**
 * Adds to the present expiry of a reservation, not to now.
 *
 * Rejects, in this order: `idempotency_mismatch`, `reservation_not_found` (also a gateway call's), `forbidden` (another tenant's),
 * `tenant_closed`, `reservation_expired` (no grace here), `reservation_finalized`, `max_extensions_exceeded`. Source: Cycles runtime spec, extend.
 */
export const extendVerb: Verb<ExtendCommand, ExtendAnswer> = {
  needs: (command) => ({ tenantLock: 'shared', reservations: [command.reservationId], ...idempotencyNeeds(command.idempotency) }),
  decide: (state, command, nowMs) => {
    const decision = decideOnce(state, command, nowMs, () => decideExtend(state, command, nowMs));
    if (!decision.outcome.ok) return { ...decision, outcome: decision.outcome };
    const { value } = decision.outcome;
    const holds = decision.isReplay !== true || state.isHeld(command.reservationId);
    return { ...decision, outcome: accepted({ ...value, remainingTtlMs: holds ? Math.max(0, value.expiresAtMs - nowMs) : 0 }) };
  },
};

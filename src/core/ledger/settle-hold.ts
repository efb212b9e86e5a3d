import type { Effect } from '../effects.ts';
import { invariant } from '../invariant.ts';
import type { State } from '../verb.ts';
import type { Account } from './account.ts';
import { entryEffect } from './journal.ts';
import type { Leg, Reservation, ReservationState } from './reservation.ts';

/** A leg with its account, which exists as long as the hold does. */
export interface HeldLeg {
  readonly leg: Leg;
  readonly account: Account;
}

/** The legs of a reservation with their accounts, in the order of the legs. */
export const heldLegs = (state: State, reservation: Reservation): HeldLeg[] =>
  reservation.legs.map((leg) => {
    const account = state.account(leg.accountId);
    invariant(account !== undefined, `the account ${leg.accountId} of reservation ${reservation.id} is gone`);
    return { leg, account };
  });

/**
 * The effects that end an ACTIVE reservation by returning its whole hold and charging nothing: `release` or `expire`.
 * A call that never ran is settled by it; a call whose time ran out is not, since it may still be charged.
 */
export function returnHold(reservation: Reservation, how: 'release' | 'expire', nowMs: number): Effect[] {
  invariant(reservation.state === 'ACTIVE', `reservation ${reservation.id} is ${reservation.state} and holds nothing`);
  const state: ReservationState = how === 'release' ? 'RELEASED' : 'EXPIRED';
  const charged = how === 'release' || reservation.purpose === 'budget' ? reservation.legs.map(() => 0n) : null;
  const settledAtMs = charged === null ? null : nowMs;
  return [
    ...reservation.legs.map((leg) =>
      entryEffect(leg.accountId, { command: reservation.id, verb: how, atMs: nowMs, dReserved: -leg.amount }),
    ),
    { type: 'reservation', reservation: { ...reservation, state, charged, finalizedAtMs: nowMs, settledAtMs } },
  ];
}

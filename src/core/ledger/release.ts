import type { PlainJson } from '../json/plain-json.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { balancesAfter, type BalanceLine } from './balance-line.ts';
import type { ReleaseCommand } from './commands.ts';
import { clientReservation, refuseLate, refuseSettled } from './commit.ts';
import { decideOnce, idempotencyNeeds } from './idempotency.ts';
import { heldLegs, returnHold } from './settle-hold.ts';

/** What a release returned, decimal int64 in the reservation's `unit`, and the balances after it. */
export interface ReleaseAnswer {
  readonly reservationId: string;
  readonly released: string;
  readonly unit: string;
  readonly balances: readonly BalanceLine[];
  readonly [name: string]: PlainJson;
}

function decideRelease(state: State, command: ReleaseCommand, nowMs: number): Decision<ReleaseAnswer> {
  const reservation = clientReservation(state, command);
  if ('code' in reservation) return refuse(rejected(reservation));
  const staysUntilReleased = reservation.client?.untilReleased === true;
  const refusal = refuseSettled(state, reservation) ?? (staysUntilReleased ? null : refuseLate(reservation, nowMs));
  if (refusal !== null) return refuse(rejected(refusal));
  const accounts = heldLegs(state, reservation).map(({ account }) => account);
  const effects = returnHold(reservation, 'release', nowMs);
  const answer: ReleaseAnswer = {
    reservationId: reservation.id,
    released: `${reservation.legs[0]?.amount ?? 0n}`,
    unit: accounts[0]?.unit ?? '',
    balances: balancesAfter(accounts, effects),
  };
  return { outcome: accepted(answer), effects };
}

/**
 * Returns what a reservation holds and charges nothing.
 *
 * Rejects, in this order: `idempotency_mismatch`, `reservation_not_found` (also a gateway call's), `forbidden` (another tenant's),
 * `tenant_closed`, `reservation_expired` (past expiry and grace, but for one that stays until it is released), `reservation_finalized`.
 * Source: Cycles runtime spec, release. Invariants: L2, L4.
 */
export const releaseVerb: Verb<ReleaseCommand, ReleaseAnswer> = {
  needs: (command) => ({ tenantLock: 'shared', reservations: [command.reservationId], ...idempotencyNeeds(command.idempotency) }),
  decide: (state, command, nowMs) => {
    const asked = { idempotency: command.idempotency, keptBy: command.reservationId };
    return decideOnce(state, asked, nowMs, () => decideRelease(state, command, nowMs));
  },
};

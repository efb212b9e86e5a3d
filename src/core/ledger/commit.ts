import type { Effect } from '../effects.ts';
import { INT64_MAX } from '../int64.ts';
import type { PlainJson } from '../json/plain-json.ts';
import { countRate, rateNeeds, refuseRate, viewRate } from '../policy/rate-limit.ts';
import type { RateView } from '../policy/rate-window.ts';
import { accepted, rejected, type Rejection } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { snapshotOf } from './account.ts';
import { balancesAfter, type BalanceLine } from './balance-line.ts';
import type { CommitCommand } from './commands.ts';
import { decideOnce, idempotencyNeeds } from './idempotency.ts';
import { entryEffect, refuseOverflow } from './journal.ts';
import { bookOverage } from './overage.ts';
import { refuseClosedTenant, shortOf } from './refusals.ts';
import type { Reservation } from './reservation.ts';
import { heldLegs, type HeldLeg } from './settle-hold.ts';

/** What a commit charged and what it returned, decimal int64 in the reservation's unit, and the balances after it. */
interface KeptAnswer {
  readonly reservationId: string;
  readonly charged: string;
  readonly released: string;
  readonly balances: readonly BalanceLine[];
  readonly [name: string]: PlainJson;
}

/** The same, with how the limit of the policy stands at this very moment, where there is one. */
export interface CommitAnswer extends KeptAnswer {
  readonly rate: RateView | null;
}

/** Refuses a reservation that no longer holds: closed tenant, EXPIRED, or finalized. */
export function refuseSettled(state: State, reservation: Reservation): Rejection | null {
  const closed = refuseClosedTenant(state, reservation.tenantId);
  if (closed !== null) return closed;
  if (reservation.state === 'ACTIVE') return null;
  if (reservation.state === 'EXPIRED') return expiredAt(reservation);
  return { code: 'reservation_finalized', message: `the reservation ${reservation.id} is ${reservation.state}` };
}

/** Refuses a reservation that holds, but is past its expiry and grace; the sweep has only not come by yet. */
export const refuseLate = (reservation: Reservation, nowMs: number): Rejection | null =>
  nowMs > reservation.expiresAtMs + reservation.graceMs ? expiredAt(reservation) : null;

const expiredAt = ({ id, expiresAtMs }: Reservation): Rejection => ({
  code: 'reservation_expired',
  message: `the reservation ${id} expired at ${expiresAtMs}`,
});

/** The rejection for a reservation that nobody made, or that is a gateway call's. */
export const noReservation = (id: string): Rejection => ({ code: 'reservation_not_found', message: `there is no reservation ${id}` });

/**
 * The reservation that a client of the tenant may settle, release or extend. A gateway call's is not theirs: who could release it would
 * make the call free. Refuses with `reservation_not_found`, and with `forbidden` for another tenant's.
 */
export function clientReservation(
  state: State,
  command: { readonly reservationId: string; readonly tenantId: string },
): Reservation | Rejection {
  const { reservationId, tenantId } = command;
  const reservation = state.reservation(reservationId);
  if (reservation === undefined || reservation.purpose !== 'budget') return noReservation(reservationId);
  return reservation.tenantId === tenantId ? reservation : notOwned(reservationId);
}

/** The rejection for a reservation of another tenant. Source: Cycles runtime spec, AUTH & TENANCY. */
export const notOwned = (id: string): Rejection => ({ code: 'forbidden', message: `the reservation ${id} belongs to another tenant` });

function decideCommit(state: State, command: CommitCommand, nowMs: number): Decision<KeptAnswer> {
  const reservation = clientReservation(state, command);
  if ('code' in reservation) return refuse(rejected(reservation));
  const settledAlready = refuseSettled(state, reservation);
  if (settledAlready !== null) return refuse(rejected(settledAlready));

  const legs = heldLegs(state, reservation);
  const { actual } = command;
  const units = new Set(legs.map(({ account }) => account.unit));
  if (legs.length > 0 && !units.has(command.unit)) {
    const message = `the reservation holds ${[...units].join(', ')}, not ${command.unit}`;
    const details = { scope: legs[0]?.account.scope, requested_unit: command.unit, expected_units: [...units] };
    return refuse(rejected({ code: 'unit_mismatch', message, field: 'actual.unit', details }));
  }
  const late = refuseLate(reservation, nowMs) ?? refuseRate(state, reservation.tenantId, command.limit, nowMs);
  if (late !== null) return refuse(rejected(late));
  if (actual < 0n || actual > INT64_MAX) {
    return refuse(
      rejected({ code: 'amount_out_of_range', message: 'the actual amount must lie between 0 and 2^63 - 1', field: 'actual.amount' }),
    );
  }
  const estimate = legs[0]?.leg.amount ?? actual;
  const booked = actual <= estimate ? bookWithin(legs, reservation, { actual, nowMs }) : bookAbove(legs, reservation, { actual, nowMs });
  if ('code' in booked) return refuse(rejected(booked));
  const overflow = refuseOverflow(state, booked.effects);
  if (overflow !== null) return refuse(rejected(overflow));

  const settled: Reservation = {
    ...reservation,
    state: 'COMMITTED',
    charged: legs.map(() => booked.charged),
    finalizedAtMs: nowMs,
    settledAtMs: nowMs,
    ...settledClient(reservation, command.details ?? null),
  };
  const released = actual < estimate ? estimate - actual : 0n;
  const accounts = legs.map(({ account }) => account);
  return {
    outcome: accepted({
      reservationId: reservation.id,
      charged: booked.charged.toString(),
      released: released.toString(),
      balances: balancesAfter(accounts, booked.effects),
    }),
    effects: [
      ...booked.effects,
      { type: 'reservation', reservation: settled },
      ...countRate(state, reservation.tenantId, command.limit, nowMs),
    ],
  };
}

const settledClient = ({ client }: Reservation, settledWith: string | null): Pick<Reservation, 'client'> =>
  client === null || client === undefined ? {} : { client: { ...client, settledWith } };

interface Booking {
  readonly charged: bigint;
  readonly effects: Effect[];
}

/** Charges an actual that the hold covers, and returns the rest, under every policy alike. */
const bookWithin = (legs: readonly HeldLeg[], reservation: Reservation, at: { actual: bigint; nowMs: number }): Booking => ({
  charged: at.actual,
  effects: legs.map(({ leg }) =>
    entryEffect(leg.accountId, { command: reservation.id, verb: 'commit', atMs: at.nowMs, dReserved: -leg.amount, dSpent: at.actual }),
  ),
});

/** Charges an actual above the hold as the reservation's overage policy says, or refuses and leaves the hold. */
function bookAbove(legs: readonly HeldLeg[], reservation: Reservation, at: { actual: bigint; nowMs: number }): Booking | Rejection {
  const estimate = legs[0]?.leg.amount ?? 0n;
  const overage = at.actual - estimate;
  const [first] = legs;
  if (reservation.overagePolicy === 'REJECT' && first !== undefined) {
    return { ...shortOf(first.account, overage), code: 'budget_exceeded', account: snapshotOf(first.account) };
  }
  const accounts = legs.map(({ account }) => account);
  const booked = bookOverage(accounts, overage, reservation.overagePolicy);
  if ('code' in booked) return booked;
  const effects = legs.flatMap(({ leg }, index) => {
    const part = booked.parts[index] ?? { dSpent: 0n, dDebt: 0n };
    const line = { command: reservation.id, verb: 'commit', atMs: at.nowMs, dReserved: -leg.amount } as const;
    return [entryEffect(leg.accountId, { ...line, dSpent: estimate + part.dSpent, dDebt: part.dDebt })];
  });
  return { charged: estimate + booked.charged, effects: [...booked.flags, ...effects] };
}

/**
 * Settles a reservation with what was really used, under the overage policy fixed when it was made.
 *
 * Rejects, in this order: `idempotency_mismatch`, `reservation_not_found` (also a gateway call's), `forbidden` (another tenant's),
 * `tenant_closed`, `reservation_expired` (EXPIRED already), `reservation_finalized`, `unit_mismatch`, `reservation_expired` (past expiry
 * and grace, whether or not the sweep has come by), `rate_limited`, `amount_out_of_range`; then above the hold: `budget_exceeded` (REJECT), `over_limit` (the overdraft would pass its limit); last `amount_out_of_range` (what an
 * account has spent would pass int64). A refused commit leaves the hold as it was. A frozen budget does not refuse: the spend has
 * happened. Source: Cycles runtime spec, commit and overage. Invariants: L1, L4, L6.
 */
export const commitVerb: Verb<CommitCommand, CommitAnswer> = {
  needs: (command) => ({
    tenantLock: 'shared',
    reservations: [command.reservationId],
    ...rateNeeds(command.tenantId, command.limit),
    ...idempotencyNeeds(command.idempotency),
  }),
  decide: (state, command, nowMs) => {
    const { tenantId, reservationId, idempotency, limit } = command;
    const decision = decideOnce(state, { idempotency, keptBy: reservationId }, nowMs, () => decideCommit(state, command, nowMs));
    if (!decision.outcome.ok) return { ...decision, outcome: decision.outcome };
    const more = decision.isReplay === true ? 0 : 1;
    const rate = limit === null || limit === undefined ? null : viewRate(state, tenantId, limit, { nowMs, more });
    return { ...decision, outcome: accepted({ ...decision.outcome.value, rate }) };
  },
};

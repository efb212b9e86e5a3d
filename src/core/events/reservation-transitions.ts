import type { Effect } from '../effects.ts';
import { parseAccountId, type AccountRef } from '../ledger/account.ts';
import type { Leg, Reservation } from '../ledger/reservation.ts';
import { formatRfc3339 } from '../rfc3339.ts';
import type { Cause, StateEvent } from './state-event.ts';

/** A leg on a budget, with its place among the legs. */
interface BudgetLeg {
  readonly leg: Leg;
  readonly ref: AccountRef;
  readonly index: number;
}

/** The leg on the deepest budget; where there is none, as for a call that only its key's cap covers, the first of all. */
function deepestLeg(reservation: Reservation): BudgetLeg | undefined {
  const legs = reservation.legs.map((leg, index) => ({ leg, ref: parseAccountId(leg.accountId), index }));
  const budgets = legs.filter(({ ref }) => ref.kind === 'budget');
  return budgets.reduce<BudgetLeg | undefined>(
    (deepest, each) => (deepest === undefined || each.ref.scope.length > deepest.ref.scope.length ? each : deepest),
    budgets[0] ?? legs[0],
  );
}

/** Source: Cycles governance, `EventDataReservationExpired`. The two moments in milliseconds are this program's own, from before. */
function expiredEvent(reservation: Reservation, nowMs: number): StateEvent {
  const held = deepestLeg(reservation);
  const { createdAtMs, expiresAtMs } = reservation;
  return {
    type: 'reservation.expired',
    tenantId: reservation.tenantId,
    ...(held?.ref.kind === 'budget' ? { scope: held.ref.scope } : {}),
    data: {
      reservation_id: reservation.id,
      ...(held === undefined ? {} : { scope: held.ref.scope, unit: held.ref.unit, estimated_amount: `${held.leg.amount}` }),
      created_at: formatRfc3339(createdAtMs),
      expired_at: formatRfc3339(nowMs),
      created_at_ms: createdAtMs,
      expired_at_ms: expiresAtMs,
      ttl_ms: expiresAtMs - createdAtMs,
      extensions_used: reservation.extensions,
    },
  };
}

/** What was really used, in the unit of that leg: a client's commit says so, a call is charged what it used. */
const actualOf = (cause: Cause, reservation: Reservation, index: number): bigint => {
  const { actual } = cause as { actual?: bigint };
  return actual ?? reservation.charged?.[index] ?? 0n;
};

/** Source: Cycles governance, `EventDataCommitOverage`. */
function overageEvent(reservation: Reservation, cause: Cause, effects: readonly Effect[]): StateEvent | null {
  const held = deepestLeg(reservation);
  if (held === undefined || held.ref.kind !== 'budget') return null;
  const estimated = held.leg.amount;
  const actual = actualOf(cause, reservation, held.index);
  if (actual <= estimated) return null;
  const debts = effects.flatMap((effect) => (effect.type === 'entry' ? [effect.entry.dDebt] : []));
  return {
    type: 'reservation.commit_overage',
    tenantId: reservation.tenantId,
    scope: held.ref.scope,
    data: {
      reservation_id: reservation.id,
      scope: held.ref.scope,
      unit: held.ref.unit,
      estimated_amount: `${estimated}`,
      actual_amount: `${actual}`,
      overage: `${actual - estimated}`,
      overage_policy: reservation.overagePolicy,
      // Every budget of the subject takes the same charge; what one of them could not fund is what is owed.
      debt_incurred: `${debts.reduce((most, debt) => (debt > most ? debt : most), 0n)}`,
    },
  };
}

/** What is told of a reservation that a command has just ended: that it expired, or that more was used than it held. */
export function reservationEvents(
  reservation: Reservation,
  at: { readonly cause: Cause; readonly effects: readonly Effect[]; readonly nowMs: number },
): StateEvent[] {
  if (reservation.state === 'EXPIRED') return [expiredEvent(reservation, at.nowMs)];
  const overage = overageEvent(reservation, at.cause, at.effects);
  return overage === null ? [] : [overage];
}

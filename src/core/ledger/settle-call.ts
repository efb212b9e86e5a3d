import { keepEffects } from '../calls/upstream-object.ts';
import type { Effect } from '../effects.ts';
import { tellingEffects } from '../events/decide-tell.ts';
import { INT64_MAX } from '../int64.ts';
import { invariant } from '../invariant.ts';
import { changeTokens } from '../policy/minute-limits.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type Verb } from '../verb.ts';
import { parseAccountId } from './account.ts';
import type { SettleCallCommand } from './commands.ts';
import { noReservation } from './commit.ts';
import { entryEffect } from './journal.ts';
import type { Reservation } from './reservation.ts';
import { actualIn } from './settle-amounts.ts';
import { heldLegs, returnHold, type HeldLeg } from './settle-hold.ts';

/**
 * Books what a call used on every leg: as a commit while it still holds, as a debit once its hold has expired. What an account cannot
 * count as spent any more is booked as debt, so that the whole is booked, and the account refuses the next hold and says why.
 */
function chargeCall(legs: readonly HeldLeg[], reservation: Reservation, amounts: readonly bigint[], nowMs: number): Effect[] {
  const holds = reservation.state === 'ACTIVE';
  const entries = legs.map(({ leg, account }, index) => {
    const amount = amounts[index] ?? 0n;
    invariant(amount >= 0n && amount <= INT64_MAX, `call ${reservation.id} would charge ${amount} to ${account.id}`);
    const room = INT64_MAX - account.spent;
    const dSpent = amount <= room ? amount : room;
    const differences = { dReserved: holds ? -leg.amount : 0n, dSpent, dDebt: amount - dSpent };
    return entryEffect(leg.accountId, { command: reservation.id, verb: holds ? 'commit' : 'debit', atMs: nowMs, ...differences });
  });
  const settled: Reservation = {
    ...reservation,
    state: holds ? 'COMMITTED' : 'EXPIRED',
    charged: [...amounts],
    finalizedAtMs: reservation.finalizedAtMs ?? nowMs,
    settledAtMs: nowMs,
  };
  return [...entries, { type: 'reservation', reservation: settled }];
}

/** Returns the hold of a call that never ran; one that expired meanwhile only loses its claim to be charged. */
function cancelCall(reservation: Reservation, nowMs: number): Effect[] {
  if (reservation.state === 'ACTIVE') return returnHold(reservation, 'release', nowMs);
  return [{ type: 'reservation', reservation: { ...reservation, charged: reservation.legs.map(() => 0n), settledAtMs: nowMs } }];
}

/**
 * What a settlement did. `booked`: this very command settled the call. Otherwise it was settled before, and `agrees` tells whether each
 * leg was charged then what this command would charge: so does an earlier attempt of the same command whose answer was lost.
 */
export type SettleCallAnswer = { readonly booked: true } | { readonly booked: false; readonly agrees: boolean };

const agrees = ({ legs, charged }: Reservation, { actuals }: SettleCallCommand): boolean =>
  legs.every(({ accountId }, index) => charged?.[index] === (actuals === null ? 0n : actualIn(parseAccountId(accountId).unit, actuals)));

/**
 * Settles a call by force: the spend has happened, so the whole actual is booked on every leg, whatever the state of budgets, tenant
 * or hold, and `remaining` may go below zero. What would take an account's `spent` past int64 becomes its debt. Books the usage in the
 * same batch, and corrects what the limits of tokens counted. With `actuals` null the call never ran.
 *
 * Happens once for each reservation: the value ({@link SettleCallAnswer}) tells whether this command did it; a second one changes
 * nothing. Rejects only `reservation_not_found`. Invariants: L1, L4, L6.
 */
export const settleCallVerb: Verb<SettleCallCommand, SettleCallAnswer> = {
  needs: ({ reservationId, rates }) => ({
    tenantLock: 'shared',
    reservations: [reservationId],
    ...(rates === undefined ? {} : { rates: rates.map(({ ref }) => ref) }),
  }),
  decide: (state, command, nowMs): Decision<SettleCallAnswer> => {
    const reservation = state.reservation(command.reservationId);
    if (reservation === undefined || reservation.tenantId !== command.tenantId)
      return refuse(rejected(noReservation(command.reservationId)));
    if (reservation.settledAtMs !== null)
      return { outcome: accepted({ booked: false, agrees: agrees(reservation, command) }), effects: [] };
    const { actuals, usage } = command;
    const counted = changeTokens(state, command.rates ?? []);
    if (actuals === null) return { outcome: accepted({ booked: true }), effects: [...cancelCall(reservation, nowMs), ...counted] };
    const legs = heldLegs(state, reservation);
    const amounts = legs.map(({ account }) => actualIn(account.unit, actuals));
    const effects = chargeCall(legs, reservation, amounts, nowMs);
    if (usage !== null) effects.push({ type: 'usage', event: { ...usage, atMs: nowMs, heldAtMs: reservation.createdAtMs } });
    effects.push(...keepEffects(command.tenantId, command.objects ?? [], nowMs), ...counted);
    effects.push(...tellingEffects(command, nowMs, command.tellings ?? []));
    return { outcome: accepted({ booked: true }), effects };
  },
};

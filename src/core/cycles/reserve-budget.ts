import type { Effect } from '../effects.ts';
import type { PlainJson } from '../json/plain-json.ts';
import { decideOnce, idempotencyNeeds } from '../ledger/idempotency.ts';
import { entryEffect } from '../ledger/journal.ts';
import { overagePolicyOf } from '../ledger/overage.ts';
import type { Reservation } from '../ledger/reservation.ts';
import { countRate, rateNeeds, viewRate } from '../policy/rate-limit.ts';
import type { RateView } from '../policy/rate-window.ts';
import { accepted, rejected } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { balancesAfter, type BalanceLine } from '../ledger/balance-line.ts';
import { accountsWanted, admit } from './budget-request.ts';
import type { ReserveBudgetCommand } from './runtime-commands.ts';

/** A hold that was made, as it is remembered. Moments in milliseconds. */
interface KeptAnswer {
  readonly reservationId: string;
  readonly expiresAtMs: number;
  readonly caps: PlainJson;
  readonly balances: readonly BalanceLine[];
  readonly [name: string]: PlainJson;
}

/**
 * A hold that was made, and what is true of it at this very moment: how long it still lasts (0 where it holds no more), and how the limit
 * of its policy stands, where there is one.
 */
export interface ReserveBudgetAnswer extends KeptAnswer {
  readonly remainingTtlMs: number;
  readonly rate: RateView | null;
}

function decideReserveBudget(state: State, command: ReserveBudgetCommand, nowMs: number): Decision<KeptAnswer> {
  const { tenantId, reservationId, amount } = command;
  const accounts = admit(state, tenantId, command, nowMs);
  if ('code' in accounts) return refuse(rejected(accounts));
  const effects: Effect[] = accounts.map(({ id }) =>
    entryEffect(id, { command: reservationId, verb: 'reserve', atMs: nowMs, dReserved: amount }),
  );
  const expiresAtMs = nowMs + command.ttlMs;
  const reservation: Reservation = {
    id: reservationId,
    tenantId,
    purpose: 'budget',
    state: 'ACTIVE',
    legs: accounts.map(({ id }) => ({ accountId: id, amount })),
    charged: null,
    overagePolicy: overagePolicyOf(state, tenantId, { wanted: command.overagePolicy, accounts }),
    createdAtMs: nowMs,
    expiresAtMs,
    graceMs: command.graceMs,
    extensions: 0,
    maxExtensions: command.maxExtensions,
    finalizedAtMs: null,
    settledAtMs: null,
    ownerId: '',
    context: command.details,
    checkpoint: null,
    client: {
      scopePath: command.scopePath,
      amount,
      requestKey: command.idempotency.ref.key,
      untilReleased: state.record('tenant', tenantId)?.reservationExpiryPolicy === 'MANUAL_CLEANUP',
      settledWith: null,
    },
  };
  return {
    outcome: accepted({ reservationId, expiresAtMs, caps: command.caps ?? null, balances: balancesAfter(accounts, effects) }),
    effects: [...effects, { type: 'reservation', reservation }, ...countRate(state, tenantId, command.limit, nowMs)],
  };
}

/**
 * Holds an amount on every budget of the scopes, or on none, until `nowMs + ttlMs`. The overage policy, the number of extensions and
 * what becomes of it when its time is over are fixed with it.
 *
 * A repeat gets the first answer, with what is left of its time now. Rejects, in this order: `idempotency_mismatch`, `tenant_closed`,
 * `tenant_suspended`, `rate_limited`, `unit_mismatch` or `budget_not_found` (nothing covers it); then for each budget from the widest
 * scope on: `budget_frozen`, `budget_closed`, `over_limit`, `debt_outstanding`, `amount_out_of_range`, `budget_exceeded`. Source: Cycles
 * runtime spec, createReservation and ERROR SEMANTICS. Invariants: L1 to L5.
 */
export const reserveBudgetVerb: Verb<ReserveBudgetCommand, ReserveBudgetAnswer> = {
  needs: (command) => ({
    tenantLock: 'shared',
    accounts: accountsWanted(command.tenantId, command),
    reservations: [command.reservationId],
    ...rateNeeds(command.tenantId, command.limit),
    ...idempotencyNeeds(command.idempotency),
  }),
  decide: (state, command, nowMs) => {
    const asked = { idempotency: command.idempotency, keptBy: command.reservationId };
    const decision = decideOnce(state, asked, nowMs, () => decideReserveBudget(state, command, nowMs));
    if (!decision.outcome.ok) return { ...decision, outcome: decision.outcome };
    const { value } = decision.outcome;
    const isReplay = decision.isReplay === true;
    const holds = !isReplay || state.isHeld(value.reservationId);
    const { limit } = command;
    const rate = limit === null || limit === undefined ? null : viewRate(state, command.tenantId, limit, { nowMs, more: isReplay ? 0 : 1 });
    return { ...decision, outcome: accepted({ ...value, remainingTtlMs: holds ? Math.max(0, value.expiresAtMs - nowMs) : 0, rate }) };
  },
};

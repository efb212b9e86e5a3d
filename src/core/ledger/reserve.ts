import { judgedBalance, tenantBalanceId } from '../balance/balance-account.ts';
import type { Effect } from '../effects.ts';
import { ceilDiv, INT64_MAX } from '../int64.ts';
import { invariant } from '../invariant.ts';
import { countMinute, minuteRef, refuseMinute, standingsAfter, standingsOf, type MinuteShare } from '../policy/minute-limits.ts';
import type { RateRef, RateStanding } from '../policy/rate-window.ts';
import { countRate, rateNeeds as policyNeeds, refuseRate } from '../policy/rate-limit.ts';
import { accepted, rejected, type Rejection } from '../rejection.ts';
import { refuse, type Decision, type State, type Verb } from '../verb.ts';
import { windowLegs, type WindowLeg } from '../windows/window-legs.ts';
import type { Tenant } from '../records.ts';
import { parseAccountId, remainingOf, snapshotOf, TOKENS, USD_MICROCENTS, type Account } from './account.ts';
import type { LegRequest, ReserveCommand } from './commands.ts';
import { decideOnce, idempotencyNeeds } from './idempotency.ts';
import { entryEffect } from './journal.ts';
import { refuseStatus, refuseTenant, shortOf } from './refusals.ts';
import type { Leg, Reservation } from './reservation.ts';

/** A hold that was made. `output` is how many units of output it pays for; amounts are decimal int64. Moments in milliseconds. */
export interface ReserveAnswer {
  readonly reservationId: string;
  readonly output: string;
  readonly legs: readonly { readonly accountId: string; readonly amount: string }[];
  readonly createdAtMs: number;
  readonly expiresAtMs: number;
  /** How the limits of requests and tokens that apply stand after the hold, in their order; empty where none does. */
  readonly rates: readonly RateStanding[];
  readonly [name: string]: string | number | readonly { readonly accountId: string; readonly amount: string }[] | readonly RateStanding[];
}

const NO_RATES: readonly RateStanding[] = [];

/** A leg with its account as the hold is judged by it. */
interface CoveredLeg {
  readonly request: LegRequest;
  readonly account: Account;
  /** Of a window, the id of the rule that limits it. */
  readonly rule?: string;
}

/**
 * Refuses a call that was planned by other terms of its tenant's balance than those that stand: it lacks the account that is required,
 * or would hold in a currency that the tenant had before. Other nodes hear of a change within a second.
 */
function refuseOldTerms(tenant: Tenant | undefined, command: ReserveCommand): Rejection | null {
  const expected = command.purpose === 'call' ? tenantBalanceId(tenant) : null;
  if (tenant === undefined || expected === null) return null;
  const leg = command.legs.find(({ accountId }) => parseAccountId(accountId).kind === 'balance');
  if (leg?.accountId === expected || (leg === undefined && tenant.requireBalance !== true)) return null;
  return { code: 'held', message: "the terms of the tenant's prepaid balance have just changed; try again" };
}

/** The amount that a leg holds for `output` units of output, in its account's unit, rounded up. */
export const legAmount = (leg: LegRequest, output: bigint): bigint => ceilDiv(leg.base + leg.perUnit * output, leg.divisor);

/**
 * The most units of output, within the range, that every leg can pay for and every limit of tokens has room for in a minute of its own;
 * the minimum where even that is too much.
 */
function fittingOutput(legs: readonly CoveredLeg[], { output: range, rates }: Pick<ReserveCommand, 'output' | 'rates'>): bigint {
  let output = range.max;
  for (const { unit, perMinute } of rates?.limits ?? []) {
    const room = BigInt(perMinute - (rates?.inputTokens ?? 0));
    if (unit === 'tokens' && room < output) output = room;
  }
  for (const { request, account } of legs) {
    const remaining = remainingOf(account);
    if (remaining === null || request.perUnit === 0n) continue;
    const payable = (remaining * request.divisor - request.base) / request.perUnit;
    if (payable < output) output = payable;
  }
  return output < range.min ? range.min : output;
}

/** Refuses one account in the documented order, or null. `held`: only holds in flight are in the way. */
export function refuseLeg(account: Account, amount: bigint, purpose: ReserveCommand['purpose']): Rejection | null {
  const inactive = refuseStatus(account);
  if (inactive !== null) return inactive;
  if (account.isOverLimit)
    return { code: 'over_limit', message: `the budget ${account.scope} is over its overdraft limit`, account: snapshotOf(account) };
  if (account.debt > 0n && account.overdraftLimit === 0n) {
    return {
      code: 'debt_outstanding',
      message: `the budget ${account.scope} has debt of ${account.debt} ${account.unit}`,
      account: snapshotOf(account),
    };
  }
  const remaining = remainingOf(account);
  // What an account has left bounds what it holds: only where it has no limit may the sum of the holds pass int64.
  if (amount < 0n || amount > INT64_MAX || (remaining === null && account.reserved + amount > INT64_MAX)) {
    return {
      code: 'amount_out_of_range',
      message: `what ${account.scope} holds must stay between 0 and 2^63 - 1`,
      field: 'estimate.amount',
    };
  }
  if (remaining === null || remaining >= amount) return null;
  // A Cycles client learns that a budget is exceeded, whoever holds it; a caller of a model may wait for the calls in flight.
  if (purpose === 'call' && remaining + account.reserved >= amount) {
    const message = `calls in flight hold ${account.reserved} ${account.unit} of ${account.scope}; try again when they have ended`;
    return { code: 'held', message, account: snapshotOf(account) };
  }
  return shortOf(account, amount);
}

/** The first account that refuses for good, else the first that only waits for others: waiting is no use where another says no. */
function refuseLegs(legs: readonly CoveredLeg[], output: bigint, purpose: ReserveCommand['purpose']): Rejection | null {
  let held: Rejection | null = null;
  for (const { request, account, rule } of legs) {
    const found = refuseLeg(account, legAmount(request, output), purpose);
    if (found === null) continue;
    const refusal = rule === undefined || found.account === undefined ? found : { ...found, account: { ...found.account, rule } };
    if (refusal.code !== 'held') return refusal;
    held ??= refusal;
  }
  return held;
}

/** Puts windows behind the caps of the key. They hold what every money account of the call holds. */
function addWindows(legs: CoveredLeg[], command: ReserveCommand, windows: readonly WindowLeg[]): void {
  const money = command.legs.find(({ accountId }) => parseAccountId(accountId).unit === USD_MICROCENTS);
  invariant(money !== undefined, `the call ${command.reservationId} names no account in ${USD_MICROCENTS}`);
  const place = legs.findIndex(({ account }) => account.kind !== 'key_cap');
  const added = windows.map(({ account, rule }) => ({
    request: { ...money, accountId: account.id, required: false },
    account,
    rule: rule.id,
  }));
  legs.splice(place === -1 ? legs.length : place, 0, ...added);
}

/** Refuses a subject that nothing covers: `unit_mismatch` where it has budgets in other units, else `budget_not_found`. */
function refuseUncovered(state: State, command: ReserveCommand): Rejection {
  const others = command.otherUnitAccounts.map((id) => state.account(id)).filter((account) => account !== undefined);
  const scopes = command.legs.map((leg) => leg.accountId);
  if (others.length === 0) return { code: 'budget_not_found', message: 'no budget covers the subject', details: { accounts: scopes } };
  const expectedUnits = [...new Set(others.map((account) => account.unit))];
  return {
    code: 'unit_mismatch',
    message: `the subject's budgets are in ${expectedUnits.join(', ')}`,
    details: { scope: others[0]?.scope, expectedUnits },
  };
}

const hasOldSettings = (tenant: Tenant | undefined, { settingsAtMs }: ReserveCommand): boolean =>
  settingsAtMs !== undefined && settingsAtMs !== (tenant?.projectSettings?.updatedAtMs ?? null);

function decideReserve(state: State, command: ReserveCommand, nowMs: number): Decision<ReserveAnswer> {
  const tenantRefusal = refuseTenant(state, command.tenantId);
  if (tenantRefusal !== null) return refuse(rejected(tenantRefusal));
  const tooMany = refuseRate(state, command.tenantId, command.limit, nowMs);
  if (tooMany !== null) return refuse(rejected(tooMany));
  const tenant = state.record('tenant', command.tenantId);
  const oldTerms = refuseOldTerms(tenant, command);
  if (oldTerms !== null) return refuse(rejected(oldTerms));

  const { reservationId } = command;
  // A second hold under the same id would orphan the first one's; two holds on one account would be admitted against one remainder.
  invariant(state.reservation(reservationId) === undefined, `the reservation ${reservationId} exists already`);
  const legs: CoveredLeg[] = [];
  for (const request of command.legs) {
    invariant(!legs.some(({ account }) => account.id === request.accountId), `two legs of ${reservationId} hold on ${request.accountId}`);
    const account = state.account(request.accountId);
    if (account !== undefined) legs.push({ request, account: judgedBalance(account, tenant) });
    else if (request.required) return refuse(rejected({ code: 'budget_not_found', message: `there is no account ${request.accountId}` }));
  }
  const windows = command.purpose === 'call' ? windowLegs(state, command.windows, { ...command, command: command.id, nowMs }) : [];
  if (windows === null || hasOldSettings(tenant, command))
    return refuse(rejected({ code: 'stale_view', message: 'the rules of the tenant have changed meanwhile' }));
  if (windows.length > 0) addWindows(legs, command, windows);
  if (command.mustCover && legs.length === 0) return refuse(rejected(refuseUncovered(state, command)));
  if (command.mustCoverMoney && !legs.some(({ account }) => account.unit !== TOKENS && account.allocated !== null)) {
    return refuse(
      rejected({ code: 'budget_required', message: 'this tenant demands a money budget for every call, and none covers this one' }),
    );
  }
  const output = fittingOutput(legs, command);
  const refusal = refuseLegs(legs, output, command.purpose);
  if (refusal !== null && refusal.code !== 'held') return refuse(rejected(refusal));
  const share = shareOf(command, output);
  const tooSoon = share === null ? null : refuseMinute(state, share, nowMs);
  if (tooSoon !== null) return refuse(rejected(tooSoon));
  if (refusal !== null) return refuse(rejected(refusal));

  const held: Leg[] = legs.map(({ request, account }) => ({ accountId: account.id, amount: legAmount(request, output) }));
  const reservation = newReservation(command, held, nowMs);
  const entries = held.map(({ accountId, amount }) =>
    entryEffect(accountId, { command: command.reservationId, verb: 'reserve', atMs: nowMs, dReserved: amount }),
  );
  const effects: Effect[] = windows.length === 0 ? entries : [...windows.flatMap((window) => window.effects), ...entries];
  const answer: ReserveAnswer = {
    reservationId: reservation.id,
    output: output.toString(),
    legs: held.map(({ accountId, amount }) => ({ accountId, amount: amount.toString() })),
    createdAtMs: nowMs,
    expiresAtMs: reservation.expiresAtMs,
    rates: share === null ? NO_RATES : standingsAfter(standingsOf(state, share, nowMs), share),
  };
  return {
    outcome: accepted(answer),
    effects: [
      ...effects,
      { type: 'reservation', reservation },
      ...countRate(state, command.tenantId, command.limit, nowMs),
      ...(share === null ? [] : countMinute(state, share, nowMs)),
    ],
  };
}

/** What a call takes of its limits; null where it has none. */
const shareOf = ({ tenantId, rates }: ReserveCommand, output: bigint): MinuteShare | null =>
  rates === undefined ? null : { tenantId, limits: rates.limits, tokens: rates.inputTokens + Number(output) };

const newReservation = (command: ReserveCommand, legs: readonly Leg[], nowMs: number): Reservation => ({
  id: command.reservationId,
  tenantId: command.tenantId,
  purpose: command.purpose,
  state: 'ACTIVE',
  legs,
  charged: null,
  overagePolicy: command.overagePolicy,
  createdAtMs: nowMs,
  expiresAtMs: nowMs + command.ttlMs,
  graceMs: command.graceMs,
  extensions: 0,
  maxExtensions: command.maxExtensions,
  finalizedAtMs: null,
  settledAtMs: null,
  ownerId: command.ownerId,
  context: command.context,
  checkpoint: null,
});

/** The counts that a hold looks at; most look at none. */
function rateNeeds({ tenantId, limit, rates }: ReserveCommand): { readonly rates?: RateRef[] } {
  if ((limit === null || limit === undefined) && rates === undefined) return {};
  return { rates: [...policyNeeds(tenantId, limit).rates, ...(rates?.limits ?? []).map((each) => minuteRef(tenantId, each))] };
}

/**
 * Holds on every account that covers the subject, or holds nothing. The hold ends at `nowMs + ttlMs`.
 *
 * Where the caller left the output open, the hold pays for as much of it as every account allows, never less than the minimum.
 * Rejects, in this order: `idempotency_mismatch`, `tenant_closed`, `tenant_suspended`, `rate_limited`, `held` (a call planned
 * by other terms of the tenant's balance), `stale_view` (one whose windows are not those that it was made for, or that was planned by other settings), `budget_not_found` or `unit_mismatch` (nothing
 * covers), `budget_required`; then for each account in the order of the legs: `budget_frozen`, `budget_closed`, `over_limit`,
 * `debt_outstanding`, `amount_out_of_range`, and `cap_exceeded`, `budget_exceeded`, `window_exceeded` or `balance_empty`; then `rate_limited`
 * (a limit of the call's key or model); last `held`, if no account refuses for another reason. Source: Cycles runtime spec, ERROR SEMANTICS. Invariants: L1, L2, L3.
 */
export const reserveVerb: Verb<ReserveCommand, ReserveAnswer> = {
  needs: (command) => ({
    tenantLock: 'shared',
    accounts: [...command.legs.map((leg) => leg.accountId), ...command.otherUnitAccounts, ...(command.windows?.accounts ?? [])],
    reservations: [command.reservationId],
    ...rateNeeds(command),
    ...idempotencyNeeds(command.idempotency),
  }),
  decide: (state, command, nowMs) => decideOnce(state, command, nowMs, () => decideReserve(state, command, nowMs)),
};

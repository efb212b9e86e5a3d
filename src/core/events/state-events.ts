import type { DomainEvent, Effect } from '../effects.ts';
import type { Account, AccountId } from '../ledger/account.ts';
import type { Entry } from '../ledger/entry.ts';
import type { Reservation } from '../ledger/reservation.ts';
import type { State } from '../verb.ts';
import { budgetEvents } from './budget-transitions.ts';
import { thresholdEvents } from './crossed-thresholds.ts';
import { reservationEvents } from './reservation-transitions.ts';
import type { Cause, StateEvent } from './state-event.ts';

/** Accounts as they were before the effects of a command, and reservations that the command ends. */
export interface StateBefore {
  readonly accounts: ReadonlyMap<AccountId, Account | undefined>;
  readonly ended: readonly Reservation[];
}

/** The least share of its limit, one in so many, at which anything is told of an account that nobody watches more closely. */
const FIRST_THRESHOLD_DIVISOR = 2n;

/**
 * Whether a line can change nothing that is told: the account stays below half of its limit, and what it spends or owes stays as it is.
 * Nearly every hold of a day ends here.
 */
function isQuiet(account: Account | undefined, entry: Entry, watchesLow: boolean): boolean {
  if (entry.dDebt !== 0n || entry.dAllocated !== 0n) return false;
  if (account === undefined) return false;
  const { allocated } = account;
  if (allocated === null) return true;
  // What is told of other kinds of account goes by what they have spent alone.
  const isBudget = account.kind === 'budget';
  if (isBudget && watchesLow) return false;
  const used = isBudget ? account.spent + account.reserved : account.spent;
  const then = used + entry.dSpent + (isBudget ? entry.dReserved : 0n);
  return (used > then ? used : then) * FIRST_THRESHOLD_DIVISOR < allocated;
}

/**
 * What `effects` may change that events tell of, as it is now; null where nothing of that kind is touched. `watched` are the shares of
 * budgets that the tenant's subscriptions ask for beside the usual ones.
 */
export function stateBefore(
  state: Pick<State, 'account' | 'reservation'>,
  effects: readonly Effect[],
  watched: readonly number[],
): StateBefore | null {
  let accounts: Map<AccountId, Account | undefined> | null = null;
  let ended: Reservation[] | null = null;
  let quiet: AccountId[] | null = null;
  for (const effect of effects) {
    let id: AccountId;
    if (effect.type === 'entry') {
      id = effect.entry.accountId;
      // Two quiet lines of one account need not be quiet together.
      if (quiet?.includes(id) !== true && isQuiet(state.account(id), effect.entry, watched.length > 0)) {
        (quiet ??= []).push(id);
        continue;
      }
    } else if (effect.type === 'account') id = effect.account.id;
    else {
      if (effect.type === 'reservation' && endsNow(state, effect.reservation)) (ended ??= []).push(effect.reservation);
      continue;
    }
    accounts ??= new Map();
    if (!accounts.has(id)) accounts.set(id, state.account(id));
  }
  return accounts === null && ended === null ? null : { accounts: accounts ?? new Map(), ended: ended ?? [] };
}

/** Whether a reservation goes from holding to spent or expired. A call that is charged after its hold has expired has ended once already. */
const endsNow = (state: Pick<State, 'reservation'>, { id, state: next }: Reservation): boolean =>
  (next === 'COMMITTED' || next === 'EXPIRED') && state.reservation(id)?.state === 'ACTIVE';

/**
 * The events that follow from what a command changed, whatever the command was: one for each transition, from before its first effect
 * to after its last. A command that changes nothing, such as the repeat of one that was answered, makes none.
 *
 * Ids are made of the command's, so that one that is run again makes the same events. Source: Cycles governance, `EventType`.
 */
export function stateEvents(
  state: Pick<State, 'account'>,
  before: StateBefore,
  at: { readonly cause: Cause; readonly effects: readonly Effect[]; readonly watched: readonly number[]; readonly nowMs: number },
): DomainEvent[] {
  const { cause, effects, watched, nowMs } = at;
  const found: StateEvent[] = [];
  for (const [id, was] of before.accounts) {
    const account = state.account(id);
    if (account === undefined) continue;
    found.push(...thresholdEvents(account, was, watched));
    if (account.kind === 'budget') found.push(...budgetEvents(account, was, { cause, effects }));
  }
  for (const reservation of before.ended) found.push(...reservationEvents(reservation, { cause, effects, nowMs }));
  return found.map((event, index) => ({
    ...event,
    id: `evt_${cause.id}_t${index + 1}`,
    atMs: nowMs,
    ...(cause.origin === undefined ? {} : { origin: cause.origin }),
  }));
}

import type { Effect } from '../effects.ts';
import { INT64_MAX } from '../int64.ts';
import type { UsageBooking } from '../usage/usage-report.ts';
import type { State } from '../verb.ts';
import { windowId, windowsOf, type CallWindow, type WindowDemand } from '../windows/budget-rule.ts';
import { windowLeg } from '../windows/window-legs.ts';
import { windowLabel } from '../windows/window-period.ts';
import type { Account, AccountId } from './account.ts';
import { entryEffect } from './journal.ts';
import { actualIn } from './settle-amounts.ts';

/** The windows that usage counts in by the rules of its tenant as they are now. */
function windowsAt(state: State, of: { readonly tenantId: string; readonly windows: WindowDemand | undefined }): readonly CallWindow[] {
  return of.windows === undefined ? [] : windowsOf(state.record('tenant', of.tenantId)?.budgetRules, of.windows);
}

/** Whether a booking of the moment `atMs` was made by other rules than its tenant has: an account that it counts on was not loaded. */
export function isStaleBooking(
  state: State,
  { usage, windows }: Pick<UsageBooking, 'windows'> & { readonly usage: { readonly tenantId: string } },
  atMs: number,
): boolean {
  const rules = state.record('tenant', usage.tenantId)?.budgetRules ?? [];
  if (rules.length === 0) return false;
  const isLoaded = ({ rule, target }: CallWindow): boolean =>
    state.isLoaded(windowId(usage.tenantId, target, windowLabel(rule.period, atMs)));
  return windows === undefined || !windowsOf(rules, windows).every(isLoaded);
}

/**
 * Books what was used already, one after another within a command: on every account, whatever its state and its tenant's, since the spend
 * has happened; `remaining` may go below zero. Sees what was booked before, which the state does not show yet. Usage is counted at the
 * moment at which it happened, the journal bears the moment at which it was booked.
 */
export class ForcedDebits {
  readonly #state: State;
  readonly #at: { readonly command: string; readonly nowMs: number };
  readonly #spent = new Map<AccountId, bigint>();
  readonly #made = new Map<AccountId, Account>();

  constructor(state: State, at: { readonly command: string; readonly nowMs: number }) {
    this.#state = state;
    this.#at = at;
  }

  /** The effects of booking all of it or, where an account cannot count so far, null: then nothing is booked. */
  book(booking: UsageBooking, atMs: number): Effect[] | null {
    const { usage } = booking;
    const made = this.#madeWindows(booking, atMs);
    const charges = this.#charges(booking, atMs);
    if (charges.some(({ spent }) => spent > INT64_MAX)) return null;
    const effects = [...made];
    for (const { accountId, amount, spent } of charges) {
      this.#spent.set(accountId, spent);
      // A debit of nothing is no debit.
      if (amount > 0n) effects.push(entryEffect(accountId, { command: usage.id, verb: 'debit', atMs: this.#at.nowMs, dSpent: amount }));
    }
    return [...effects, { type: 'usage', event: { ...usage, atMs, heldAtMs: atMs } }];
  }

  /** An account as it is after what was booked; undefined where there is none. */
  account(id: AccountId): Account | undefined {
    const account = this.#made.get(id) ?? this.#state.account(id);
    return account === undefined ? undefined : { ...account, spent: this.#spent.get(id) ?? account.spent };
  }

  /** Makes the accounts of present windows that nobody touched before, so that nothing is lost to them. */
  #madeWindows({ usage, windows }: UsageBooking, atMs: number): Effect[] {
    const { command, nowMs } = this.#at;
    return windowsAt(this.#state, { tenantId: usage.tenantId, windows }).flatMap((window) => {
      const id = windowId(usage.tenantId, window.target, windowLabel(window.rule.period, atMs));
      const isPresent = windowLabel(window.rule.period, atMs) === windowLabel(window.rule.period, nowMs);
      if (!isPresent || this.#made.has(id) || this.#state.account(id) !== undefined) return [];
      const { account, effects } = windowLeg(this.#state, window, { tenantId: usage.tenantId, command, nowMs });
      this.#made.set(id, account);
      return effects;
    });
  }

  #charges({ accounts, actuals, usage, windows }: UsageBooking, atMs: number): { accountId: AccountId; amount: bigint; spent: bigint }[] {
    const ofWindows = windowsAt(this.#state, { tenantId: usage.tenantId, windows }).map(({ rule, target }) =>
      windowId(usage.tenantId, target, windowLabel(rule.period, atMs)),
    );
    return [...accounts, ...ofWindows].flatMap((accountId) => {
      const account = this.account(accountId);
      if (account === undefined) return [];
      const amount = actualIn(account.unit, actuals);
      return [{ accountId, amount, spent: account.spent + amount }];
    });
  }
}

import type { Effect } from '../effects.ts';
import { newAccount, type Account, type AccountId } from '../ledger/account.ts';
import { allocateEffects } from '../ledger/allocate.ts';
import type { State } from '../verb.ts';
import { windowId, windowsOf, type BudgetRule, type Caller, type CallWindow, type WindowDemand } from './budget-rule.ts';
import { windowLabel } from './window-period.ts';

/** A window's account as a call meets it, and what makes it so in the store. */
export interface WindowLeg {
  readonly account: Account;
  /** The rule that limits it. */
  readonly rule: BudgetRule;
  readonly effects: readonly Effect[];
}

/** What an account may be allocated by a rule: the limit, and on top of it what a reset has put out of account. */
const allocationOf = (rule: BudgetRule, account: Account | undefined): bigint =>
  BigInt(rule.limitMicrocents) + (account?.window?.resetSpent ?? 0n);

/** The account of a window with the limit that its rule has now; made where the window is touched first. */
export function windowLeg(
  state: Pick<State, 'account'>,
  { rule, target }: CallWindow,
  at: { readonly tenantId: string; readonly command: string; readonly nowMs: number },
): WindowLeg {
  const id = windowId(at.tenantId, target, windowLabel(rule.period, at.nowMs));
  const before = state.account(id);
  const allocated = allocationOf(rule, before);
  const account = { ...(before ?? newAccount(id, { nowMs: at.nowMs, unlimited: false })), allocated };
  return { account, rule, effects: allocateEffects(before, id, allocated, at) };
}

/**
 * The windows that a call of `demand` must fit into at `nowMs`, by the rules of its tenant as they are now; none where the tenant has no
 * rules. Null where they are not those that the command was made for: its accounts were not loaded, so it is to be made anew.
 */
export function windowLegs(
  state: State,
  demand: WindowDemand | null | undefined,
  at: { readonly tenantId: string; readonly command: string; readonly nowMs: number },
): readonly WindowLeg[] | null {
  const rules = state.record('tenant', at.tenantId)?.budgetRules;
  if (rules === undefined || rules.length === 0) return [];
  if (demand === null || demand === undefined) return null;
  const legs: WindowLeg[] = [];
  for (const window of windowsOf(rules, demand)) {
    if (!state.isLoaded(windowId(at.tenantId, window.target, windowLabel(window.rule.period, at.nowMs)))) return null;
    legs.push(windowLeg(state, window, at));
  }
  return legs;
}

/** The accounts of the windows that a caller is in at `nowMs`: to be read for {@link presentWindows}. */
export const presentWindowIds = (of: WindowsOf): AccountId[] =>
  windowsOf(of.rules, of.caller).map(({ rule, target }) => windowId(of.tenantId, target, windowLabel(rule.period, of.nowMs)));

/** Whose windows are meant, by which rules and at which moment. */
export interface WindowsOf {
  readonly tenantId: string;
  readonly rules: readonly BudgetRule[] | undefined;
  readonly caller: Caller;
  readonly nowMs: number;
}

/** Those windows as the next call would meet them, by the limits as they are now, with the ids of their rules; `accounts` are those that exist. */
export const presentWindows = (
  of: WindowsOf,
  accounts: ReadonlyMap<AccountId, Account>,
): { readonly account: Account; readonly rule: BudgetRule }[] =>
  windowsOf(of.rules, of.caller).map((window) =>
    windowLeg({ account: (id) => accounts.get(id) }, window, { tenantId: of.tenantId, command: '', nowMs: of.nowMs }),
  );

import type { DomainEvent, Effect } from '../effects.ts';
import type { CommandBase, State } from '../verb.ts';
import { remainingOf, type Account, type AccountId, type AccountKind } from './account.ts';

/** The shares of its limit, in percent and rising, at which what an account has spent is told. */
const THRESHOLDS_PERCENT = [50, 80, 95, 100] as const;

/** The type of the event that tells of a passed threshold, by the kind of account. */
export const THRESHOLD_EVENT_TYPES: Readonly<Record<AccountKind, string>> = {
  budget: 'budget.threshold_crossed',
  key_cap: 'api_key.threshold_crossed',
  window: 'window.threshold_crossed',
  balance: 'balance.threshold_crossed',
};

/** Fields of such an event that are amounts, int64 in the account's unit, written as decimal text: events hold no bigint. */
export const THRESHOLD_AMOUNTS = ['limit', 'spent', 'reserved', 'remaining'] as const;

const KEY_SCOPE = 'key:';

/**
 * How many of {@link THRESHOLDS_PERCENT} an account has reached: those whose share of the limit is spent, held amounts not counted.
 * None where there is no account or no limit, and none where nothing was spent, also of a limit of 0.
 */
export function thresholdsReached(account: Pick<Account, 'allocated' | 'spent'> | undefined): number {
  if (account === undefined || account.allocated === null || account.spent === 0n) return 0;
  const { allocated, spent } = account;
  // The lowest one first and without a product: on most calls of a day it is not reached.
  if (spent + spent < allocated) return 0;
  const share = spent * 100n;
  let reached = 1;
  while (reached < THRESHOLDS_PERCENT.length && share >= allocated * BigInt(THRESHOLDS_PERCENT[reached] ?? 0)) reached += 1;
  return reached;
}

/** Accounts as they were before a command changed what they spent, or may spend. */
export type SharesBefore = ReadonlyMap<AccountId, Account | undefined>;

/** The accounts whose spent share `effects` may change, as they are now; null where there are none, as for every hold. */
export function sharesBefore(state: Pick<State, 'account'>, effects: readonly Effect[]): SharesBefore | null {
  let before: Map<AccountId, Account | undefined> | null = null;
  for (const effect of effects) {
    let id: AccountId;
    if (effect.type === 'entry') {
      const { entry } = effect;
      if (entry.dSpent === 0n && entry.dAllocated === 0n) continue;
      id = entry.accountId;
    } else if (effect.type === 'account') id = effect.account.id;
    else continue;
    before ??= new Map();
    if (!before.has(id)) before.set(id, state.account(id));
  }
  return before;
}

/**
 * The events of a command: one for each threshold that it made an account pass upward, lowest first.
 *
 * A command is looked at as a whole, from before its first effect to after its last. So each threshold of an account (a window's
 * account is that of one period) is told once when it is reached, be it by spending or by a lower limit, and again only after a
 * higher limit or a reset has put what was spent below it. Ids are made of the command's, so that one that is run again makes the
 * same events.
 */
export function thresholdEvents(
  state: Pick<State, 'account'>,
  before: SharesBefore,
  at: { readonly command: Pick<CommandBase, 'id'>; readonly nowMs: number },
): DomainEvent[] {
  const events: DomainEvent[] = [];
  for (const [id, was] of before) {
    const account = state.account(id);
    const reached = thresholdsReached(account);
    if (account === undefined || reached === 0) continue;
    for (const percent of THRESHOLDS_PERCENT.slice(thresholdsReached(was), reached)) {
      events.push({
        id: `evt_${at.command.id}_t${events.length + 1}`,
        type: THRESHOLD_EVENT_TYPES[account.kind],
        tenantId: account.tenantId,
        atMs: at.nowMs,
        data: thresholdData(account, percent),
      });
    }
  }
  return events;
}

function thresholdData(account: Account, percent: number): DomainEvent['data'] {
  const { tenantId, kind, scope, unit, period, spent, reserved } = account;
  return {
    tenant_id: tenantId,
    ...(scope.startsWith(KEY_SCOPE) ? { key_id: scope.slice(KEY_SCOPE.length) } : {}),
    kind,
    scope,
    unit,
    ...(period === '' ? {} : { period }),
    threshold_percent: percent,
    limit: `${account.allocated}`,
    spent: `${spent}`,
    reserved: `${reserved}`,
    remaining: `${remainingOf(account)}`,
  };
}

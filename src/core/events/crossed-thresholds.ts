import { countedOf, remainingOf, type Account, type AccountKind } from '../ledger/account.ts';
import type { StateEvent } from './state-event.ts';

/** The shares of its limit, in percent and rising, at which the use of an account is told to everybody. */
const THRESHOLDS_PERCENT = [50, 80, 95, 100] as const;

/** The type of the event that tells of a crossed threshold, by the kind of account. */
export const THRESHOLD_EVENT_TYPES: Readonly<Record<AccountKind, string>> = {
  budget: 'budget.threshold_crossed',
  key_cap: 'api_key.threshold_crossed',
  window: 'window.threshold_crossed',
  balance: 'balance.threshold_crossed',
};

/** Fields of such an event that are amounts, int64 in the account's unit, written as decimal text: events hold no bigint. */
export const THRESHOLD_AMOUNTS = ['limit', 'spent', 'reserved', 'remaining'] as const;

const KEY_SCOPE = 'key:';

/** The precision of shares that are not whole percents: a millionth. */
const SHARE_SCALE = 1_000_000;

/** What of an account counts towards its thresholds: of a budget what is held as well, of others what is spent. */
const usedOf = (account: Account): bigint => (account.kind === 'budget' ? account.spent + account.reserved : countedOf(account).spent);

/** Whether `percent` of `allocated` is used. Nothing used reaches nothing, also of a limit of 0. */
const isReached = (used: bigint, allocated: bigint, percent: number): boolean =>
  used > 0n && used * BigInt(100 * SHARE_SCALE) >= allocated * BigInt(Math.round(percent * SHARE_SCALE));

/** Whether `account` has reached a threshold; one that does not exist or has no limit reaches none. */
function reaches(account: Account | undefined, percent: number): boolean {
  const limit = account === undefined ? null : countedOf(account).limit;
  if (account === undefined || limit === null) return false;
  return isReached(usedOf(account), limit, percent);
}

/**
 * The events of the thresholds that an account crossed between `was` and `account`: upward lowest first, then downward highest first.
 *
 * Everybody is told of {@link THRESHOLDS_PERCENT}; `watched` are further shares (0 to 1) that subscriptions of the tenant ask for, of
 * budgets alone. A budget's share is `(spent + reserved) / allocated` and is told in both directions; of every other account it is what
 * was spent, and only rising is told, so that a threshold is told once until a higher limit or a reset has put the share below it.
 * Source: Cycles governance, `EventDataBudgetThreshold`.
 */
export function thresholdEvents(account: Account, was: Account | undefined, watched: readonly number[] = []): StateEvent[] {
  const isBudget = account.kind === 'budget';
  const percents = isBudget && watched.length > 0 ? merged(watched) : THRESHOLDS_PERCENT;
  const crossed = percents.filter((percent) => reaches(account, percent) !== reaches(was, percent));
  if (crossed.length === 0) return [];
  const rising = reaches(account, crossed[0] as number);
  if (rising) return crossed.map((percent) => eventOf(account, percent, 'rising'));
  // A limit that is taken away, or an account that never had one, has no share that could fall.
  if (!isBudget || account.allocated === null) return [];
  return crossed.toReversed().map((percent) => eventOf(account, percent, 'falling'));
}

const merged = (watched: readonly number[]): number[] =>
  [...new Set([...THRESHOLDS_PERCENT, ...watched.map((share) => share * 100)])].toSorted((a, b) => a - b);

const eventOf = (account: Account, percent: number, direction: 'rising' | 'falling'): StateEvent => ({
  type: THRESHOLD_EVENT_TYPES[account.kind],
  tenantId: account.tenantId,
  scope: account.scope,
  data: account.kind === 'budget' ? budgetThresholdData(account, percent, direction) : thresholdData(account, percent),
});

/** The use of a budget as a ratio, `(spent + reserved) / allocated`, to six digits; 1 where nothing is allocated and something used. */
function utilizationOf(account: Account): number {
  const used = account.spent + account.reserved;
  const allocated = account.allocated ?? 0n;
  if (allocated <= 0n) return used > 0n ? 1 : 0;
  return Number((used * BigInt(SHARE_SCALE)) / allocated) / SHARE_SCALE;
}

/** What `budget.threshold_crossed` and `budget.exhausted` tell. Source: Cycles governance, `EventDataBudgetThreshold`. */
export const budgetThresholdData = (account: Account, percent: number, direction: 'rising' | 'falling'): StateEvent['data'] => ({
  ...thresholdData(account, percent),
  threshold: Math.round(percent * SHARE_SCALE) / (100 * SHARE_SCALE),
  utilization: utilizationOf(account),
  allocated: `${account.allocated}`,
  direction,
});

function thresholdData(account: Account, percent: number) {
  const { tenantId, kind, scope, unit, period, reserved } = account;
  const { limit, spent } = countedOf(account);
  return {
    tenant_id: tenantId,
    ...(scope.startsWith(KEY_SCOPE) ? { key_id: scope.slice(KEY_SCOPE.length) } : {}),
    kind,
    scope,
    unit,
    ...(period === '' ? {} : { period }),
    threshold_percent: percent,
    limit: `${limit}`,
    spent: `${spent}`,
    reserved: `${reserved}`,
    remaining: `${remainingOf(account)}`,
  };
}

import { INT64_MAX } from '../int64.ts';
import type { Account, BudgetTerms, PeriodLength } from '../ledger/account.ts';

const DAY_MS = 86_400_000;

/** What an end may be written before the moment that is meant: nothing, a millisecond (`23:59:59.999`), a second (`23:59:59`). */
const GAPS_MS = [0, 1, 1000] as const;

/** The moment `months` after `fromMs` (UTC), at the same time of day, on `day` of its month or the last day of a shorter one. */
function addMonths(fromMs: number, months: number, day: number): number {
  const from = new Date(fromMs);
  const first = Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + months, 1);
  const lastDay = new Date(Date.UTC(from.getUTCFullYear(), from.getUTCMonth() + months + 1, 0)).getUTCDate();
  return first + (Math.min(day, lastDay) - 1) * DAY_MS + (((fromMs % DAY_MS) + DAY_MS) % DAY_MS);
}

const monthsBetween = (fromMs: number, toMs: number): number => {
  const [from, to] = [new Date(fromMs), new Date(toMs)];
  return (to.getUTCFullYear() - from.getUTCFullYear()) * 12 + to.getUTCMonth() - from.getUTCMonth();
};

/**
 * How long a period from `startMs` to `endMs` is: calendar months where it goes from a day of a month to the same day and time of another
 * (UTC), else a fixed length. An end that is one second or one millisecond short of whole months or days is taken as those.
 */
export function periodLengthOf(startMs: number, endMs: number): PeriodLength {
  const day = new Date(startMs).getUTCDate();
  for (const gapMs of GAPS_MS) {
    const months = monthsBetween(startMs, endMs + gapMs);
    if (months > 0 && addMonths(startMs, months, day) === endMs + gapMs) return { months, day, gapMs };
  }
  for (const gapMs of GAPS_MS) {
    if ((endMs + gapMs - startMs) % DAY_MS === 0) return { ms: endMs + gapMs - startMs, gapMs };
  }
  return { ms: endMs - startMs, gapMs: 0 };
}

/** The start of the period that begins `count` periods after the one from `startMs`. */
const startAfter = (startMs: number, length: PeriodLength, count: number): number =>
  'months' in length ? addMonths(startMs, length.months * count, length.day) : startMs + length.ms * count;

/** A period of a budget: it ends at `endMs`, which the next one does not belong to. `passed` periods have ended before it. */
export interface CurrentPeriod {
  readonly startMs: number;
  readonly endMs: number;
  readonly passed: number;
}

/** The period that holds `nowMs`, counted on from the one from `startMs`; that one itself while it has not ended. */
export function currentPeriod(startMs: number, length: PeriodLength, nowMs: number): CurrentPeriod {
  const elapsed = nowMs + length.gapMs;
  let passed =
    'months' in length ? Math.floor(monthsBetween(startMs, elapsed) / length.months) : Math.floor((elapsed - startMs) / length.ms);
  // In its last month a period may not have reached its day yet.
  if (startAfter(startMs, length, passed) > elapsed) passed -= 1;
  if (passed < 0) passed = 0;
  return { startMs: startAfter(startMs, length, passed), endMs: startAfter(startMs, length, passed + 1) - length.gapMs, passed };
}

/** Tells whether the period of a budget has ended by `nowMs`. A closed budget's never does. */
export const isPeriodOver = (account: Account, nowMs: number): boolean =>
  typeof account.budget?.periodEndMs === 'number' && account.budget.periodEndMs <= nowMs && account.status !== 'CLOSED';

/** The allocation of every period of a budget, without what came from the period before; int64 in its unit. */
const baseOf = (allocated: bigint, carried: bigint): bigint => (allocated > carried ? allocated - carried : 0n);

/** What a budget gets in the period that follows `passed` others, the first of which ended as `account` stands. */
function nextAllocation(account: Account, terms: BudgetTerms, passed: number): { allocated: bigint | null; carried: bigint } {
  const { allocated, spent, reserved, debt } = account;
  if (allocated === null || terms.rolloverPolicy === 'NONE') return { allocated, carried: 0n };
  const base = baseOf(allocated, BigInt(terms.carried ?? '0'));
  const unspent = allocated > spent ? allocated - spent : 0n;
  // Nothing was spent in the periods that nobody looked at, so each of them adds the whole of its own.
  const left = unspent + base * BigInt(passed - 1);
  const open = reserved + debt;
  const wanted = terms.rolloverPolicy === 'CARRY_FORWARD' || left < open ? left : open;
  const room = INT64_MAX - base;
  const carried = wanted < room ? wanted : room;
  return { allocated: base + carried, carried };
}

/**
 * A budget in the period that holds `nowMs`; the account itself where its period has not ended.
 *
 * What is spent starts at 0 again; holds and debt stay, and being over the overdraft limit is looked at anew. The allocation is, by the
 * rollover policy: as it was (NONE); the original one and all that was not spent (CARRY_FORWARD: what remains grows by exactly the
 * original allocation); or the original one and as much of the unspent as open holds and debt take, so that what remains is never above
 * the original (CAP_AT_ALLOCATED). Periods that passed unnoticed count one by one. Nothing below 0 is carried, and nothing beyond int64.
 * Source: Cycles governance, `rollover_policy`; RESET_SPENT for what a new period keeps.
 */
export function inCurrentPeriod(account: Account, nowMs: number): Account {
  const terms = account.budget;
  if (!isPeriodOver(account, nowMs) || terms === null || terms === undefined || terms.periodEndMs === null) return account;
  const startMs = terms.periodStartMs ?? account.createdAtMs;
  const length = terms.periodLength ?? periodLengthOf(startMs, terms.periodEndMs);
  const period = currentPeriod(startMs, length, nowMs);
  const { allocated, carried } = nextAllocation(account, terms, period.passed);
  return {
    ...account,
    allocated,
    spent: 0n,
    isOverLimit: account.debt > account.overdraftLimit,
    budget: {
      ...terms,
      periodStartMs: period.startMs,
      periodEndMs: period.endMs,
      periodLength: length,
      carried: `${carried}`,
      updatedAtMs: nowMs,
    },
  };
}

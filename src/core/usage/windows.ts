/**
 * The windows that usage can be asked for, and the lengths of the buckets of their series.
 *
 * Source: Tinfoil reference section 1.2, `time` values and their fixed buckets.
 */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A window of `windowMs` up to now, shown as `windowMs / intervalMs` buckets of `intervalMs`. */
export interface UsageWindow {
  readonly name: string;
  readonly windowMs: number;
  readonly intervalMs: number;
}

/** All nine windows, shortest first. */
export const USAGE_WINDOWS: readonly UsageWindow[] = [
  { name: '5m', windowMs: 5 * MINUTE_MS, intervalMs: 5 * SECOND_MS },
  { name: '15m', windowMs: 15 * MINUTE_MS, intervalMs: 15 * SECOND_MS },
  { name: '30m', windowMs: 30 * MINUTE_MS, intervalMs: 30 * SECOND_MS },
  { name: '1h', windowMs: HOUR_MS, intervalMs: MINUTE_MS },
  { name: '24h', windowMs: DAY_MS, intervalMs: 15 * MINUTE_MS },
  { name: '7d', windowMs: 7 * DAY_MS, intervalMs: 2 * HOUR_MS },
  { name: '30d', windowMs: 30 * DAY_MS, intervalMs: 8 * HOUR_MS },
  { name: '60d', windowMs: 60 * DAY_MS, intervalMs: DAY_MS },
  { name: '90d', windowMs: 90 * DAY_MS, intervalMs: DAY_MS },
];

/** The window of that name, or undefined. */
export const usageWindow = (name: string): UsageWindow | undefined => USAGE_WINDOWS.find((window) => window.name === name);

/**
 * Where a window starts at `nowMs`, and how many buckets it has: the last bucket is the current, partial one, and buckets start at
 * multiples of the interval since the epoch. So a window covers [floor(now to i) - (W/i - 1) * i, now], as its series shows it.
 */
export function windowRange(window: UsageWindow, nowMs: number): { readonly fromMs: number; readonly points: number } {
  const { windowMs, intervalMs } = window;
  const points = windowMs / intervalMs;
  return { fromMs: nowMs - (nowMs % intervalMs) - (points - 1) * intervalMs, points };
}

/**
 * A length in whole milliseconds, at least 0, as Go's `time.Duration` prints it: `15m0s`, `24h0m0s`, `1.5s`, `250ms`; `0s` for nothing.
 *
 * Units from the largest that is not zero down to seconds are all written; parts of a second are a decimal fraction.
 */
export function goDuration(ms: number): string {
  if (ms !== 0 && ms < SECOND_MS) return `${ms}ms`;
  const hours = Math.floor(ms / HOUR_MS);
  const minutes = Math.floor((ms % HOUR_MS) / MINUTE_MS);
  const seconds = (ms % MINUTE_MS) / SECOND_MS;
  if (hours > 0) return `${hours}h${minutes}m${seconds}s`;
  return minutes > 0 ? `${minutes}m${seconds}s` : `${seconds}s`;
}

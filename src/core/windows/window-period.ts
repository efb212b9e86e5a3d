/**
 * The periods of budgets with windows: calendar days, weeks from Monday on, and months, each from UTC midnight. Moments are milliseconds
 * since the epoch. Source: Cortecs reference, section 3.
 */

/** How often a window starts anew. */
export type WindowPeriod = 'daily' | 'weekly' | 'monthly';

/** Every period, shortest first. */
export const WINDOW_PERIODS: readonly WindowPeriod[] = ['daily', 'weekly', 'monthly'];

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;

/** The first Monday after the epoch, which was a Thursday. */
const FIRST_MONDAY_MS = 4 * DAY_MS;

const padded = (value: number, length: number): string => String(value).padStart(length, '0');

/** When the window that holds `atMs` began. */
export function windowStartMs(period: WindowPeriod, atMs: number): number {
  if (period === 'daily') return Math.floor(atMs / DAY_MS) * DAY_MS;
  if (period === 'weekly') return Math.floor((atMs - FIRST_MONDAY_MS) / WEEK_MS) * WEEK_MS + FIRST_MONDAY_MS;
  const at = new Date(atMs);
  return Date.UTC(at.getUTCFullYear(), at.getUTCMonth(), 1);
}

/** When the window that holds `atMs` ends: the first moment of the next one. */
export function windowEndMs(period: WindowPeriod, atMs: number): number {
  const startMs = windowStartMs(period, atMs);
  if (period === 'daily') return startMs + DAY_MS;
  if (period === 'weekly') return startMs + WEEK_MS;
  const start = new Date(startMs);
  return Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + 1, 1);
}

/**
 * The name of the window that holds `atMs`: `2026-11-22`, `2026-W47` or `2026-11`. A week belongs to the year of its Thursday, so that
 * 2027-01-01 lies in `2026-W53`. Source: ISO 8601; architecture section 4.
 */
export function windowLabel(period: WindowPeriod, atMs: number): string {
  const startMs = windowStartMs(period, atMs);
  const start = new Date(startMs);
  const month = `${padded(start.getUTCFullYear(), 4)}-${padded(start.getUTCMonth() + 1, 2)}`;
  if (period === 'monthly') return month;
  if (period === 'daily') return `${month}-${padded(start.getUTCDate(), 2)}`;
  const thursdayMs = startMs + 3 * DAY_MS;
  const year = new Date(thursdayMs).getUTCFullYear();
  const week = Math.floor((thursdayMs - Date.UTC(year, 0, 1)) / WEEK_MS) + 1;
  return `${padded(year, 4)}-W${padded(week, 2)}`;
}

/** When the window of a name ends; null for what is no such name. */
export function endOfLabel(label: string): number | null {
  const week = /^(\d{4})-W(\d{2})$/.exec(label);
  if (week !== null) {
    // The fourth of January lies in the first week of its year.
    const firstMs = windowStartMs('weekly', Date.UTC(Number(week[1]), 0, 4));
    return firstMs + Number(week[2]) * WEEK_MS;
  }
  const date = /^(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(label);
  if (date === null) return null;
  const [year, month, day] = [Number(date[1]), Number(date[2]) - 1, date[3]];
  return day === undefined ? Date.UTC(year, month + 1, 1) : Date.UTC(year, month, Number(day) + 1);
}

/** How often windows of such a name start anew. */
export function periodOfLabel(label: string): WindowPeriod {
  if (label.includes('W')) return 'weekly';
  return label.length > '2026-11'.length ? 'daily' : 'monthly';
}

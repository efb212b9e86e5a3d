/** A calendar month in UTC, `2026-11`. Such texts sort as the months do. */
export type Month = string;

/** The month of a moment, in milliseconds since the epoch. Years 0 to 9999. */
export const monthOf = (ms: number): Month => new Date(ms).toISOString().slice(0, 7);

/** Where a month starts and where the next one does, in milliseconds since the epoch: midnight, UTC. */
export function monthRange(month: Month): { readonly fromMs: number; readonly toMs: number } {
  const [year = 0, number = 1] = month.split('-').map(Number);
  const at = (monthIndex: number): number => new Date(0).setUTCFullYear(year, monthIndex, 1);
  return { fromMs: at(number - 1), toMs: at(number) };
}

/** The month after. */
export const nextMonth = (month: Month): Month => monthOf(monthRange(month).toMs);

/** The months from `first` to `last`, both included; none where `first` is the later one. */
export function monthsBetween(first: Month, last: Month): Month[] {
  const months: Month[] = [];
  for (let month = first; month <= last; month = nextMonth(month)) months.push(month);
  return months;
}

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,30}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * Milliseconds since the epoch of an RFC 3339 timestamp, fractions beyond milliseconds cut off; null for anything else, also for days
 * that no calendar has. A leap second counts as the second after it. Source: RFC 3339, section 5.6.
 */
export function parseRfc3339(text: string): number | null {
  const match = RFC3339.exec(text);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const ms = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  const offsetMinutes = Number(match[9] ?? 0) * 60 + Number(match[10] ?? 0);
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 60 || Number(match[9] ?? 0) > 23 || Number(match[10] ?? 0) > 59)
    return null;
  const midnight = new Date(0);
  midnight.setUTCFullYear(year, month - 1, day);
  // Days roll over into the next month, so one that the month does not have shows as another month.
  if (midnight.getUTCMonth() !== month - 1 || midnight.getUTCDate() !== day) return null;
  const local = midnight.getTime() + ((hour * 60 + minute) * 60 + second) * 1000 + ms;
  return local - (match[8] === '-' ? -offsetMinutes : offsetMinutes) * 60_000;
}

/** A moment as an RFC 3339 timestamp in UTC, with milliseconds only where there are some. Years 0 to 9999. */
export const formatRfc3339 = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z');

/** The same for a moment that may be missing. */
export const formatRfc3339OrNull = (ms: number | null): string | null => (ms === null ? null : formatRfc3339(ms));

/**
 * How long a `Retry-After` header asks to wait, in milliseconds: a whole number of seconds, or a date, seen from `nowMs` of the wall
 * clock. Null where it is absent or says neither. Never negative. Source: RFC 9110, section 10.2.3.
 */
export function retryAfterMs(text: string | null, nowMs: number): number | null {
  if (text === null) return null;
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1000;
  // A date begins with its weekday; the parser would find one in many other texts too.
  const atMs = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs);
}

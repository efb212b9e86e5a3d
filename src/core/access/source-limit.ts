/** How much a source may ask: `capacity` at once, and `perSecond` more with each second. */
export interface SourceLimit {
  readonly capacity: number;
  readonly perSecond: number;
}

/** What is left of a source's allowance at a moment; below zero where it owes. */
export interface Allowance {
  readonly left: number;
  readonly atMs: number;
}

/** The allowance at `nowMs`; undefined is a source that was never seen, or not for long. */
export function allowanceAt(allowance: Allowance | undefined, limit: SourceLimit, nowMs: number): Allowance {
  if (allowance === undefined) return { left: limit.capacity, atMs: nowMs };
  const gained = (Math.max(0, nowMs - allowance.atMs) / 1000) * limit.perSecond;
  return { left: Math.min(limit.capacity, allowance.left + gained), atMs: nowMs };
}

/** How long until the source may ask again, in milliseconds; 0 where it may ask now. */
export const waitMs = ({ left }: Allowance, limit: SourceLimit): number =>
  left >= 1 ? 0 : Math.ceil(((1 - left) / limit.perSecond) * 1000);

/** An IPv4 address that is written as an IPv6 one. */
const MAPPED = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i;

/**
 * What counts as one source: an IPv4 address, or the first half of an IPv6 address, since a single host has the whole other half to
 * itself.
 */
export function sourceOf(address: string): string {
  const mapped = MAPPED.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!address.includes(':')) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').toLowerCase().split('::');
  const parts = head === '' ? [] : head.split(':');
  if (tail !== undefined) {
    const rest = tail === '' ? [] : tail.split(':');
    while (parts.length + rest.length < 8) parts.push('0');
    parts.push(...rest);
  }
  return parts
    .slice(0, 4)
    .map((part) => part.replace(/^0+(?=.)/, ''))
    .join(':');
}

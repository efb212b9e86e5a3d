/** What comes from one address, or for IPv6 from one network of 64 bits. */
export interface SourceLimits {
  /** Counts a connection in; null where there are as many as there may be, else what counts it out again. */
  enter(address: string): (() => void) | null;
  /** Notes a try that failed; the value is for how long its answer is to be held back, in milliseconds. */
  fail(address: string): number;
}

export interface SourceLimitsOptions {
  readonly nowMs: () => number;
  readonly maxConnections: number;
  readonly maxPerSource: number;
}

/** Tries that are answered at once. */
const FREE_TRIES = 3;
const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 10_000;
/** Tries are forgotten so long after the last one. */
const FORGET_MS = 600_000;
/** Addresses that are remembered; beyond it the oldest ones are forgotten. */
const MAX_SOURCES = 10_000;
const IPV6_GROUPS = 8;
const NETWORK_GROUPS = 4;

/** The network that an address counts for. */
export function sourceOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped?.[1] !== undefined) return mapped[1];
  if (!address.includes(':')) return address;
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : IPV6_GROUPS - before.length - after.length;
  return [...before, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...after].slice(0, NETWORK_GROUPS).join(':');
}

/** Makes {@link SourceLimits}. Failed tries are held back for longer and longer; who has a good key is never kept waiting. */
export function makeSourceLimits({ nowMs, maxConnections, maxPerSource }: SourceLimitsOptions): SourceLimits {
  const open = new Map<string, number>();
  const failed = new Map<string, { tries: number; atMs: number }>();
  let all = 0;

  return {
    enter: (address) => {
      const source = sourceOf(address);
      const mine = open.get(source) ?? 0;
      if (all >= maxConnections || mine >= maxPerSource) return null;
      open.set(source, mine + 1);
      all += 1;
      let isIn = true;
      return () => {
        if (!isIn) return;
        isIn = false;
        all -= 1;
        const left = (open.get(source) ?? 1) - 1;
        if (left === 0) open.delete(source);
        else open.set(source, left);
      };
    },
    fail: (address) => {
      const source = sourceOf(address);
      const before = failed.get(source);
      const tries = before === undefined || nowMs() - before.atMs > FORGET_MS ? 1 : before.tries + 1;
      // Put in anew, so that the oldest one stands first.
      failed.delete(source);
      failed.set(source, { tries, atMs: nowMs() });
      const [oldest] = failed.keys();
      if (failed.size > MAX_SOURCES && oldest !== undefined) failed.delete(oldest);
      return tries <= FREE_TRIES ? 0 : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (tries - FREE_TRIES - 1));
    },
  };
}

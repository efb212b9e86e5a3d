import { allowanceAt, sourceOf, waitMs, type Allowance, type SourceLimit } from '../core/access/source-limit.ts';

/** Limits what a single source may ask of this process. */
export interface SourceLimiter {
  /** How long the source at `address` has to wait, in milliseconds; where that is 0, one question was taken from its allowance. */
  ask(address: string): number;
  /** Takes `cost` more from it. A source may owe that, and then waits the longer. */
  charge(address: string, cost: number): void;
  /** How many sources are remembered. */
  readonly size: number;
}

/**
 * Makes a {@link SourceLimiter} that remembers at most `maxSources`, those that asked last. `elapsedMs` is a clock that never goes back.
 * A source that is forgotten begins anew, which takes as many other sources as are remembered.
 */
export function makeSourceLimiter(options: {
  readonly limit: SourceLimit;
  readonly maxSources: number;
  readonly elapsedMs: () => number;
}): SourceLimiter {
  const { limit, maxSources, elapsedMs } = options;
  const known = new Map<string, Allowance>();

  const current = (source: string): Allowance => allowanceAt(known.get(source), limit, elapsedMs());
  const keep = (source: string, allowance: Allowance): void => {
    // Put anew, it is the last one; the first one is who has not asked for longest.
    known.delete(source);
    known.set(source, allowance);
    if (known.size > maxSources) known.delete(known.keys().next().value ?? source);
  };

  return {
    ask: (address) => {
      const source = sourceOf(address);
      const allowance = current(source);
      const wait = waitMs(allowance, limit);
      keep(source, wait > 0 ? allowance : { ...allowance, left: allowance.left - 1 });
      return wait;
    },
    charge: (address, cost) => {
      const source = sourceOf(address);
      const allowance = current(source);
      keep(source, { ...allowance, left: allowance.left - cost });
    },
    get size() {
      return known.size;
    },
  };
}

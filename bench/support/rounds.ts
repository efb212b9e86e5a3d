import { runLoad, type LoadPlan, type LoadResult } from './load.ts';
import { median, quantile } from './stats.ts';

/** The figures of one contender over all rounds: medians of the rounds. Latencies in milliseconds. */
export interface Contender {
  readonly rate: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly firstByteP50Ms: number;
  readonly gapP99Ms: number;
  /** The longest silence of all rounds. */
  readonly gapMaxMs: number;
  /** Silences of at least {@link STALL_MS}, of all rounds. */
  readonly stalls: number;
  readonly errors: number;
  readonly statuses: Readonly<Record<string, number>>;
}

/** A silence in a stream that a reader notices as standing still. */
export const STALL_MS = 250;

const summarize = (results: readonly LoadResult[]): Contender => ({
  rate: median(results.map((result) => result.requests / result.seconds)),
  p50Ms: median(results.map((result) => quantile(result.latencyMs, 0.5))),
  p99Ms: median(results.map((result) => quantile(result.latencyMs, 0.99))),
  firstByteP50Ms: median(results.map((result) => quantile(result.firstByteMs, 0.5))),
  gapP99Ms: median(results.map((result) => quantile(result.gapMs, 0.99))),
  gapMaxMs: Math.max(0, ...results.map((result) => result.gapMs.at(-1) ?? 0)),
  stalls: results.reduce((sum, result) => sum + result.gapMs.filter((gapMs) => gapMs >= STALL_MS).length, 0),
  errors: results.reduce((sum, result) => sum + result.errors, 0),
  statuses: results.at(-1)?.statuses ?? {},
});

/**
 * Runs the contenders in turn, round after round, so that a machine that slows down slows all of them: A B C, A B C, ... The first
 * round warms up and does not count. `beside` starts what happens while a contender runs; what it gives ends that, and is waited for before
 * the next one runs.
 */
export async function interleave<K extends string>(
  plans: Readonly<Record<K, LoadPlan>>,
  rounds: number,
  beside: (name: K) => () => Promise<void> = () => () => Promise.resolve(),
): Promise<Record<K, Contender>> {
  const names = Object.keys(plans) as K[];
  const results = new Map<K, LoadResult[]>(names.map((name) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const name of names) {
      const end = beside(name);
      const result = await runLoad(plans[name]);
      await end();
      if (round > 0) results.get(name)?.push(result);
    }
  }
  return Object.fromEntries(names.map((name) => [name, summarize(results.get(name) ?? [])])) as Record<K, Contender>;
}

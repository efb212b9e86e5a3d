/**
 * Usage summed by time bucket, at several lengths of bucket, so that a query costs the same whatever lies behind it.
 *
 * Buckets start at multiples of their length since the epoch. Each level's length divides the next one's, so a span that ends now can be
 * put together from a few fine buckets at its start and coarse ones after them.
 */

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Sums over buckets of `levelMs`, kept for `keepMs` (null: for ever). `levelMs` 0 is one bucket, 0, for all time. */
export interface RollupLevel {
  readonly levelMs: number;
  readonly keepMs: number | null;
}

/** The level of days, which is kept for ever. Days start at midnight, UTC, and so do months. */
export const DAY_LEVEL_MS = DAY_MS;

/** The level of all time. */
export const ALL_TIME_LEVEL_MS = 0;

/** The key id under which a rollup sums over all keys of a tenant; no key has it. */
export const ALL_KEYS = '';

/** How long raw usage events are kept. Source: architecture section 9. */
export const USAGE_EVENTS_KEEP_MS = 35 * DAY_MS;

/**
 * Every level, finest first, all time last. Each is kept longer than the longest window whose series it serves; the three longest serve
 * no series, they keep the number of buckets in a total small.
 */
export const ROLLUP_LEVELS: readonly RollupLevel[] = [
  { levelMs: 5 * SECOND_MS, keepMs: 2 * HOUR_MS },
  { levelMs: 30 * SECOND_MS, keepMs: 4 * HOUR_MS },
  { levelMs: 15 * MINUTE_MS, keepMs: 2 * DAY_MS },
  { levelMs: 2 * HOUR_MS, keepMs: 8 * DAY_MS },
  { levelMs: 8 * HOUR_MS, keepMs: 40 * DAY_MS },
  { levelMs: DAY_MS, keepMs: null },
  { levelMs: 3 * DAY_MS, keepMs: null },
  { levelMs: 9 * DAY_MS, keepMs: null },
  { levelMs: 27 * DAY_MS, keepMs: null },
  { levelMs: ALL_TIME_LEVEL_MS, keepMs: null },
];

const TIMED_LEVELS_MS = ROLLUP_LEVELS.map((level) => level.levelMs).filter((levelMs) => levelMs !== ALL_TIME_LEVEL_MS);

/** The coarsest level whose buckets make up buckets of `intervalMs`. Throws `RangeError` where none does. */
export function levelFor(intervalMs: number): number {
  const levelMs = TIMED_LEVELS_MS.findLast((length) => intervalMs > 0 && intervalMs % length === 0);
  if (levelMs === undefined) throw new RangeError(`no rollup has buckets that make up ${intervalMs} ms`);
  return levelMs;
}

/** Buckets of one level, from `fromMs` up to but without `toMs`; to the newest where `toMs` is null. */
export interface RollupSpan {
  readonly levelMs: number;
  readonly fromMs: number;
  readonly toMs: number | null;
}

/**
 * The fewest buckets that make up all time from `fromMs`, a multiple of `intervalMs`, to now: fine ones until a coarser level's bucket
 * starts, and so on. Nothing lies in the future, so the last span is open.
 */
export function spansFrom(fromMs: number, intervalMs: number): RollupSpan[] {
  const spans: RollupSpan[] = [];
  let startMs = fromMs;
  let levelMs = levelFor(intervalMs);
  for (const coarserMs of TIMED_LEVELS_MS.filter((length) => length > levelMs)) {
    const endMs = Math.ceil(startMs / coarserMs) * coarserMs;
    if (endMs > startMs) spans.push({ levelMs, fromMs: startMs, toMs: endMs });
    startMs = endMs;
    levelMs = coarserMs;
  }
  return [...spans, { levelMs, fromMs: startMs, toMs: null }];
}

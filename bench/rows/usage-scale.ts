import Database from 'better-sqlite3';
import path from 'node:path';
import { ALL_TIME_LEVEL_MS, levelFor, ROLLUP_LEVELS, spansFrom, type RollupLevel, type RollupSpan } from '../../src/core/usage/rollups.ts';
import { USAGE_WINDOWS, windowRange } from '../../src/core/usage/windows.ts';
import { openSqliteStore } from '../../src/stores/sqlite/open-sqlite-store.ts';
import { temporaryFolder } from '../support/processes.ts';
import type { Row } from '../support/report.ts';
import { KEYS, MODELS, seed, SPAN_DAYS } from './usage.ts';

/** What is shown by reckoning: nobody waits for this many events. */
const EVENTS_SHOWN = 100_000_000;
const SPAN_MS = SPAN_DAYS * 86_400_000;

/** Rows of one bucket at most: one for each key and model, one for each model over all keys, and never more than it has events. */
const rowsOfBucket = (levelMs: number, events: number): number => {
  const eventsOfBucket = levelMs === ALL_TIME_LEVEL_MS ? events : Math.ceil((events * levelMs) / SPAN_MS);
  return Math.min(KEYS * MODELS, eventsOfBucket) + Math.min(MODELS, eventsOfBucket);
};

/** Buckets of a level that hold events, at most: those it is kept for, or those of the span; one more where the ends lie within buckets. */
const bucketsOf = ({ levelMs, keepMs }: RollupLevel): number =>
  levelMs === ALL_TIME_LEVEL_MS ? 1 : Math.ceil(Math.min(keepMs ?? SPAN_MS, SPAN_MS) / levelMs) + 2;

const mostRows = (level: RollupLevel, events: number): number => bucketsOf(level) * rowsOfBucket(level.levelMs, events);

/** Buckets that a query's spans name, up to now. */
const bucketsIn = (spans: readonly RollupSpan[], nowMs: number): number =>
  spans.reduce((sum, { levelMs, fromMs, toMs }) => sum + Math.max(0, Math.ceil(((toMs ?? nowMs + 1) - fromMs) / levelMs)), 0);

/** Rows that a query reads at most: of each bucket those of all keys for totals, those over all keys for a series. */
const mostRead = (
  spans: readonly RollupSpan[],
  options: { readonly nowMs: number; readonly rowsEach: number; readonly events: number },
): number =>
  spans.reduce((sum, span) => {
    const eventsOfBucket = Math.ceil((options.events * span.levelMs) / SPAN_MS);
    return sum + bucketsIn([span], options.nowMs) * Math.min(options.rowsEach, eventsOfBucket);
  }, 0);

const words = (length: number): string =>
  length === ALL_TIME_LEVEL_MS
    ? 'all time'
    : length < 60_000
      ? `${length / 1000} s`
      : length < 3_600_000
        ? `${length / 60_000} min`
        : `${length / 3_600_000} h`;

/**
 * How many rows of rollups lie behind the queries of usage, and how many of them a query reads: counted after a fold of `sample` events,
 * and reckoned for 10^8. The reckoning is checked against the count. Every key calls every model, which is the most rows there can be.
 */
export async function usageScale(options: { sample: number }): Promise<Row[]> {
  const { sample } = options;
  const dataDir = path.join(temporaryFolder('usage-scale'), 'data');
  const keyIds = Array.from({ length: KEYS }, (_, index) => `key_${String(index).padStart(4, '0')}`);
  await (await openSqliteStore({ dataDir, clock: { nowMs: Date.now } })).close();
  believeTheClock(dataDir);
  await seed(dataDir, keyIds, { total: sample, modelsOfAKey: MODELS });
  const db = new Database(path.join(dataDir, 'castellan.db'), { readonly: true });
  try {
    return [...countLevels(db, sample), ...countReads(db, sample)];
  } finally {
    db.close();
  }
}

/** A store goes by its last batch's time where its clock is ahead of that; without one it would keep buckets that are long past. */
function believeTheClock(dataDir: string): void {
  const db = new Database(path.join(dataDir, 'castellan.db'));
  db.prepare('UPDATE store_state SET last_ms = ?').run(Date.now());
  db.close();
}

function countLevels(db: Database.Database, sample: number): Row[] {
  const count = db.prepare<[number], number>('SELECT count(*) FROM usage_rollups WHERE level_ms = ?').pluck();
  let total = 0;
  const rows = ROLLUP_LEVELS.map((level): Row => {
    const counted = count.get(level.levelMs) ?? 0;
    const reckoned = mostRows(level, sample);
    if (counted > reckoned) throw new Error(`level ${level.levelMs} has ${counted} rows, more than the ${reckoned} that were reckoned`);
    const shown = mostRows(level, EVENTS_SHOWN);
    total += shown;
    return {
      what: `rollup rows at ${words(level.levelMs)}, ${KEYS} keys, ${MODELS} models, ${SPAN_DAYS} days`,
      ours: `1e+8 events: at most ${shown}`,
      baseline: `${sample.toExponential(0)} events: ${counted} counted, at most ${reckoned} reckoned`,
      ratio: `${Math.round((1000 * shown) / EVENTS_SHOWN) / 1000} rows an event`,
      owed: '',
    };
  });
  return [
    ...rows,
    {
      what: 'rollup rows in all',
      ours: `1e+8 events: at most ${total}`,
      baseline: '1e+8 raw events',
      ratio: `${Math.round((1000 * total) / EVENTS_SHOWN) / 1000}`,
      owed: '',
    },
  ];
}

function countReads(db: Database.Database, sample: number): Row[] {
  const nowMs = Date.now();
  const inSpan = (keys: string) =>
    db
      .prepare<[number, number, number], number>(
        `SELECT count(*) FROM usage_rollups WHERE tenant_id = 'default' AND level_ms = ? AND bucket_ms >= ? AND bucket_ms < ? AND key_id ${keys}`,
      )
      .pluck();
  const counters = { totals: inSpan(`> ''`), series: inSpan(`= ''`) };
  return USAGE_WINDOWS.flatMap((window) => {
    const { fromMs } = windowRange(window, nowMs);
    const queries = {
      totals: { spans: spansFrom(fromMs, window.intervalMs), rowsEach: KEYS * MODELS },
      series: { spans: [{ levelMs: levelFor(window.intervalMs), fromMs, toMs: null }], rowsEach: MODELS },
    };
    return (['totals', 'series'] as const).map((name): Row => {
      const { spans, rowsEach } = queries[name];
      const read = spans.reduce((sum, span) => sum + (counters[name].get(span.levelMs, span.fromMs, span.toMs ?? nowMs + 1) ?? 0), 0);
      const reckoned = mostRead(spans, { nowMs, rowsEach, events: sample });
      const shown = mostRead(spans, { nowMs, rowsEach, events: EVENTS_SHOWN });
      if (read > reckoned) throw new Error(`${name} of ${window.name} read ${read} rows, more than the ${reckoned} that were reckoned`);
      return {
        what: `rows that ${name} of ${window.name} read, ${bucketsIn(spans, nowMs)} buckets`,
        ours: `1e+8 events: at most ${shown}`,
        baseline: `${sample.toExponential(0)} events: ${read}, at most ${reckoned} reckoned`,
        ratio: `${Math.round((10 * shown) / Math.max(read, 1)) / 10}`,
        owed: `at most ${bucketsIn(spans, nowMs) * rowsEach}, whatever lies behind`,
      };
    });
  });
}

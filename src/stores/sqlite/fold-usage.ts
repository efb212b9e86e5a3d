import type { Database } from 'better-sqlite3';
import { ALL_KEYS, ALL_TIME_LEVEL_MS, ROLLUP_LEVELS, type RollupLevel } from '../../core/usage/rollups.ts';
import type { Failpoints } from '../../ports/failpoints.ts';
import { USAGE_COLUMNS } from '../_shared/usage-row.ts';

/** Folds at most `limit` events of the tail; returns how many. Runs inside a transaction that it commits. */
export type UsageFolder = (limit: number, nowMs: number, commit: () => void) => number;

const COLUMNS = USAGE_COLUMNS.join(', ');

const SUMS = ['requests', 'prompt_tokens', 'completion_tokens', 'cached_prompt_tokens', 'cost_nano_usd', 'charge_microcents'] as const;
const summed = [...SUMS.map((column) => `sum(${column}) AS ${column}`), 'max(last_at_ms) AS last_at_ms'].join(', ');
const sumNames = [...SUMS, 'last_at_ms'].join(', ');

/** Groups the rows of `source` into buckets of a level. All time is one bucket. */
const bucketsFrom = (source: string, levelMs: number): string => {
  const bucket = levelMs === ALL_TIME_LEVEL_MS ? '0' : `bucket_ms - bucket_ms % ${levelMs}`;
  return `SELECT tenant_id, ${bucket} AS bucket_ms, key_id, model, ${summed} FROM ${source} GROUP BY 1, 2, 3, 4`;
};

const levelName = (levelMs: number): string => `level_${levelMs}`;

/** The buckets of every level, each made from those of the level before it, of which there are fewer and fewer. */
const LEVEL_TABLES = ROLLUP_LEVELS.map(({ levelMs }, index) => {
  const source = index === 0 ? 'folding' : levelName(ROLLUP_LEVELS[index - 1]?.levelMs ?? 0);
  return `${levelName(levelMs)} AS MATERIALIZED (${bucketsFrom(source, levelMs)})`;
});

/** The rows of a level: its buckets by key, and once more summed over all keys. Buckets that pruning would take at once are left out. */
const rowsOf = ({ levelMs, keepMs }: RollupLevel): string => {
  const isKept = keepMs === null ? 'true' : `bucket_ms > @nowMs - ${keepMs + levelMs}`;
  return `
    SELECT tenant_id, ${levelMs} AS level_ms, bucket_ms, key_id, model, ${sumNames} FROM ${levelName(levelMs)} WHERE ${isKept}
    UNION ALL
    SELECT tenant_id, ${levelMs}, bucket_ms, '${ALL_KEYS}', model, ${summed} FROM ${levelName(levelMs)} WHERE ${isKept}
    GROUP BY tenant_id, bucket_ms, model`;
};

/** Adds the events of `fold_ids` to every rollup. */
const ADD_TO_ROLLUPS = `
  INSERT INTO usage_rollups (tenant_id, level_ms, bucket_ms, key_id, model, ${sumNames})
  WITH folding AS (
      SELECT tenant_id, at_ms AS bucket_ms, key_id, model, ${SUMS.join(', ')}, at_ms AS last_at_ms
      FROM usage_tail WHERE id IN (SELECT id FROM fold_ids)
    ),
    ${LEVEL_TABLES.join(',\n    ')}
  SELECT * FROM (${ROLLUP_LEVELS.map(rowsOf).join(' UNION ALL ')})
  WHERE true
  ON CONFLICT (tenant_id, level_ms, bucket_ms, key_id, model) DO UPDATE SET
    ${SUMS.map((column) => `${column} = ${column} + excluded.${column}`).join(', ')},
    last_at_ms = max(last_at_ms, excluded.last_at_ms)`;

/** Prepares the fold: the oldest events by id go from the tail to `usage_events` and into the rollups, all or nothing. */
export function makeUsageFolder(db: Database, failpoints: Failpoints): UsageFolder {
  // In memory (temp_store), on this connection alone.
  db.exec('CREATE TEMP TABLE fold_ids (id TEXT PRIMARY KEY) WITHOUT ROWID');
  const choose = db.prepare<[number]>('INSERT INTO fold_ids (id) SELECT id FROM usage_tail ORDER BY id LIMIT ?');
  const copy = db.prepare(`INSERT INTO usage_events (${COLUMNS}) SELECT ${COLUMNS} FROM usage_tail WHERE id IN (SELECT id FROM fold_ids)`);
  const addToRollups = db.prepare<[{ nowMs: bigint }]>(ADD_TO_ROLLUPS);
  const empty = db.prepare('DELETE FROM usage_tail WHERE id IN (SELECT id FROM fold_ids)');
  const forget = db.prepare('DELETE FROM fold_ids');
  return (limit, nowMs, commit) => {
    forget.run();
    const folded = choose.run(limit).changes;
    if (folded === 0) return 0;
    copy.run();
    addToRollups.run({ nowMs: BigInt(nowMs) });
    empty.run();
    failpoints.hit('fold.written');
    commit();
    return folded;
  };
}

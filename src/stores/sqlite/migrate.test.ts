import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { loadMigrations } from '../_shared/migrations.ts';
import { USAGE_COLUMNS, usageFromRow, type UsageRow } from '../_shared/usage-row.ts';
import { migrate } from './migrate.ts';

/** What each of these steps added to usage, with the property that a row without it has not, and a column that must not fall below 0. */
const ADDED = [
  { columns: ['cache_write_prompt_tokens'], property: 'cacheWritePromptTokens', counted: 'cache_write_prompt_tokens' },
  { columns: ['debit_currency', 'debit_per_usd_nanos', 'debit_microcents'], property: 'debit', counted: 'debit_microcents' },
];

test.each(ADDED)('usage of the release before has no $property, and that release can still write it', ({ columns, property, counted }) => {
  const db = new Database(':memory:');
  const all = loadMigrations('sqlite');
  const failpoints = { hit: () => undefined };
  const added = all.findIndex(({ sql }) => sql.includes(counted));
  const insert = (id: string): void => {
    const there = new Set(
      db
        .prepare<[], { name: string }>('PRAGMA table_info(usage_tail)')
        .all()
        .map(({ name }) => name),
    );
    const old = USAGE_COLUMNS.filter((column) => there.has(column) && !columns.includes(column));
    const values = old.map((column) => (column === 'id' ? id : /_id$|model|route|currency/.test(column) ? 'x' : 1));
    db.prepare(`INSERT INTO usage_tail (${old.join(', ')}) VALUES (${old.map(() => '?').join(', ')})`).run(values);
  };
  migrate(db, all.slice(0, added), failpoints);
  insert('before');
  migrate(db, all, failpoints);
  insert('after');
  const rows = db
    .prepare<[], UsageRow>(`SELECT ${USAGE_COLUMNS.join(', ')} FROM usage_tail ORDER BY id`)
    .safeIntegers()
    .all();
  expect(rows.map(usageFromRow)).toMatchObject([
    { id: 'after', promptTokens: 1 },
    { id: 'before', promptTokens: 1 },
  ]);
  for (const row of rows) expect(usageFromRow(row)).not.toHaveProperty(property);
  expect(() => db.exec(`UPDATE usage_tail SET ${counted} = -1`)).toThrow(/CHECK/);
  db.close();
});

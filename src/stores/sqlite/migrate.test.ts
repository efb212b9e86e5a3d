import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { loadMigrations } from '../_shared/migrations.ts';
import { USAGE_COLUMNS, usageFromRow, type UsageRow } from '../_shared/usage-row.ts';
import { migrate } from './migrate.ts';

const COLUMN = 'cache_write_prompt_tokens';

test('usage of the release before counts as none written into a cache, and that release can still write it', () => {
  const db = new Database(':memory:');
  const all = loadMigrations('sqlite');
  const failpoints = { hit: () => undefined };
  const added = all.findIndex(({ sql }) => sql.includes(COLUMN));
  const old = USAGE_COLUMNS.filter((column) => column !== COLUMN);
  const insert = (id: string): void => {
    const values = old.map((column) => (column === 'id' ? id : /_id$|model|route/.test(column) ? 'x' : 1));
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
  for (const row of rows) expect(usageFromRow(row)).not.toHaveProperty('cacheWritePromptTokens');
  expect(() => db.exec(`UPDATE usage_tail SET ${COLUMN} = -1`)).toThrow(/CHECK/);
  db.close();
});

import { describe, expect, test } from 'vitest';
import { loadMigrations, parseMigration } from '../../src/stores/_shared/migrations.ts';
import { findUnsafe } from '../../tools/migration-rules.ts';

const check = (sql: string, file = '0100-next.sql'): string[] => findUnsafe(parseMigration(file, sql), 'postgres');

describe('rules for migrations', () => {
  test.each(['sqlite', 'postgres'] as const)('every migration of %s keeps to them', (dialect) => {
    const migrations = loadMigrations(dialect);
    expect(migrations.length).toBeGreaterThan(2);
    expect(migrations.flatMap((migration) => findUnsafe(migration, dialect))).toEqual([]);
  });

  test.each([
    ['ALTER TABLE accounts ALTER COLUMN spent TYPE numeric;', 'rewrites a table'],
    ['ALTER TABLE accounts ALTER spent SET DATA TYPE numeric;', 'rewrites a table'],
    ['ALTER TABLE accounts ADD CONSTRAINT more CHECK (spent < 5);', 'NOT VALID'],
    ['ALTER TABLE accounts ADD COLUMN made timestamptz DEFAULT now();', 'rewrites a table'],
    ['ALTER TABLE accounts ADD COLUMN more text NOT NULL;', 'does not fill'],
    ['ALTER TABLE accounts DROP COLUMN spent;', 'takes a table or column away'],
    ['DROP TABLE accounts;', 'takes a table or column away'],
    ['ALTER TABLE accounts RENAME COLUMN spent TO used;', 'renames'],
    ['ALTER TABLE accounts ALTER COLUMN overage_policy SET NOT NULL;', 'refuses rows'],
    ['UPDATE accounts SET spent = 0;', 'changes rows in one transaction'],
    ['LOCK TABLE accounts;', 'locks a whole table'],
    ['CREATE INDEX more ON accounts (spent);', 'under a lock'],
    ['CREATE INDEX CONCURRENTLY more ON accounts (spent);', 'which no transaction can'],
    ['-- no transaction\nCREATE INDEX CONCURRENTLY more ON accounts (spent);', 'what a broken build has left'],
    ['-- contract: 0100\nALTER TABLE accounts DROP COLUMN spent;', 'locks out the release before'],
  ])('%s', (sql, says) => {
    expect(check(sql)).toEqual([expect.stringContaining(says)]);
  });

  test.each([
    'CREATE TABLE more (id text PRIMARY KEY, body json NOT NULL);\nCREATE INDEX more_of ON more (body);',
    'ALTER TABLE accounts ADD COLUMN more text;',
    `ALTER TABLE accounts ADD COLUMN more text NOT NULL DEFAULT '';`,
    'ALTER TABLE accounts ADD CONSTRAINT more CHECK (spent < 5) NOT VALID;',
    '-- no transaction\nDROP INDEX CONCURRENTLY IF EXISTS more;\nCREATE INDEX CONCURRENTLY more ON accounts (spent);',
    '-- contract: 0099\nALTER TABLE accounts DROP COLUMN spent;',
    'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n  UPDATE accounts SET spent = 0;\n  RETURN NULL;\nEND\n$$;',
  ])('allow %s', (sql) => {
    expect(check(sql)).toEqual([]);
  });

  test('the rules came with the eighth migration', () => {
    expect(check('DROP TABLE accounts;', '0007-old.sql')).toEqual([]);
    expect(check('DROP TABLE accounts;', '0008-new.sql')).toHaveLength(1);
  });
});

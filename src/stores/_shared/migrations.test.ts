import { describe, expect, test } from 'vitest';
import { parseMigration, planMigrations, statementsOf, StoreRefusal, type AppliedMigration } from './migrations.ts';

const KNOWN = ['0001-first.sql', '0004-second.sql', '0007-third.sql'].map((file) => parseMigration(file, 'SELECT 1;'));
const took = (version: number, compatibleWith: number | null = 1): AppliedMigration => ({ version, compatibleWith });

describe('what a database needs', () => {
  test.each<[string, AppliedMigration[], number[], number | null]>([
    ['everything, where it is empty', [], [1, 4, 7], null],
    ['nothing, where it has all', [took(1), took(4), took(7)], [], null],
    ['what it lacks, also between what it has', [took(1), took(7)], [4], null],
    ['nothing of a newer one that is compatible', [took(1), took(4), took(7), took(8), took(9)], [], 9],
    ['nothing of a newer one that wants what this program knows', [took(1), took(4), took(7), took(9, 7)], [], 9],
    ['nothing of one whose old steps say nothing', [took(1, null), took(4, null), took(7)], [], null],
  ])('%s', (_name, applied, versions, newerVersion) => {
    const plan = planMigrations(KNOWN, applied);
    expect([plan.pending.map(({ version }) => version), plan.newerVersion]).toEqual([versions, newerVersion]);
  });

  test.each<[string, AppliedMigration[]]>([
    ['a step that wants a newer program', [took(1), took(4), took(7), took(9, 8)]],
    ['a step that says nothing', [took(1), took(4), took(7), took(9, null)]],
    ['any one of several', [took(1), took(4), took(7), took(8, 8), took(9)]],
  ])('a newer database is refused for %s', (_name, applied) => {
    expect(() => planMigrations(KNOWN, applied)).toThrow(StoreRefusal);
    expect(() => planMigrations(KNOWN, applied)).toThrow(
      'The database has schema version 9, but this program knows only up to version 7: start the newer Castellan that migrated it, or restore a backup.',
    );
  });
});

describe('a migration file', () => {
  test('only adds, in one transaction, where it says nothing', () => {
    expect(parseMigration('0012-more.sql', 'CREATE TABLE more (id text);')).toMatchObject({
      version: 12,
      name: '0012-more',
      compatibleWith: 1,
      inTransaction: true,
    });
  });

  test('says what a program has to know, and that it runs without a transaction', () => {
    const sql = '-- contract: 0007\n-- no transaction\nDROP INDEX CONCURRENTLY old;\n';
    expect(parseMigration('0012-less.sql', sql)).toMatchObject({ compatibleWith: 7, inTransaction: false });
  });

  test('without a transaction gives its statements one by one', () => {
    const sql = '-- no transaction\nDROP INDEX IF EXISTS a;\n-- Why; and how.\nCREATE INDEX a\n  ON b (c);\n';
    expect(statementsOf(parseMigration('0001-x.sql', sql))).toEqual(['DROP INDEX IF EXISTS a', 'CREATE INDEX a\n  ON b (c)']);
  });
});

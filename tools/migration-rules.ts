import { statementsOf, type Dialect, type Migration } from '../src/stores/_shared/migrations.ts';

/** Before these rules. */
const FREE_UNTIL = 7;

interface Rule {
  readonly pattern: RegExp;
  readonly says: string;
  /** The one dialect that it is for. */
  readonly dialect?: Dialect;
}

/** What takes something away that the release before may be using at this moment. */
const CONTRACTIONS: readonly Rule[] = [
  { pattern: /\bDROP\s+(TABLE|VIEW|COLUMN)\b/i, says: 'takes a table or column away' },
  { pattern: /\bRENAME\b/i, says: 'renames' },
  { pattern: /\bSET\s+NOT\s+NULL\b/i, says: 'refuses rows that the release before writes' },
  {
    pattern: /\bADD\s+COLUMN\b(?=[^,;]*\bNOT\s+NULL\b)(?![^,;]*\bDEFAULT\b)/i,
    says: 'adds a column that the release before does not fill',
  },
];

/** What holds up the nodes that serve while it runs, or cannot be done again. */
const BLOCKING: readonly Rule[] = [
  {
    pattern: /\bALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE\b/i,
    says: 'rewrites a table: add a column, fill it by a job, change over',
    dialect: 'postgres',
  },
  {
    pattern: /\bADD\s+CONSTRAINT\b(?![^;]*\bNOT\s+VALID\b)/i,
    says: 'reads a whole table under a lock: add it NOT VALID and validate later',
    dialect: 'postgres',
  },
  {
    pattern: /\bADD\s+COLUMN\b[^;]*\bDEFAULT\s+(now|clock_timestamp|random|gen_random_uuid|nextval)\b/i,
    says: 'rewrites a table for a default that differs from row to row',
    dialect: 'postgres',
  },
  { pattern: /\b(LOCK\s+TABLE|CLUSTER|VACUUM\s+FULL|REINDEX)\b/i, says: 'locks a whole table', dialect: 'postgres' },
  { pattern: /^\s*(UPDATE|DELETE\s+FROM)\b/i, says: 'changes rows in one transaction: fill columns by a job, a chunk at a time' },
];

const withoutBodies = (sql: string): string => sql.replaceAll(/\$\$[\s\S]*?\$\$/g, "''").replaceAll(/\bBEGIN\b[\s\S]*?\bEND;/gi, "''");

/**
 * What of a migration would hurt the release before, which may be serving on the same database while it runs: one sentence for each.
 *
 * A file that says `-- contract: NNNN` may take away what the release whose newest migration was NNNN does not use any more.
 */
export function findUnsafe(migration: Migration, dialect: Dialect): string[] {
  if (migration.version <= FREE_UNTIL) return [];
  const sql = withoutBodies(migration.sql.replaceAll(/^--.*$/gm, ''));
  const made = new Set([...sql.matchAll(/\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)/gi)].map(([, table]) => table));
  const statements = statementsOf({ ...migration, sql });
  const isContract = migration.compatibleWith > 1;
  const rules = [...(isContract ? [] : CONTRACTIONS), ...BLOCKING].filter((rule) => rule.dialect === undefined || rule.dialect === dialect);
  const found = statements.flatMap((statement) => rules.filter(({ pattern }) => pattern.test(statement)).map(({ says }) => says));
  if (migration.compatibleWith >= migration.version) found.push('locks out the release before: it must be able to run on it');
  if (dialect === 'postgres') found.push(...statements.flatMap((statement) => unsafeIndex(statement, { made, migration })));
  if (!migration.inTransaction && /\$\$/.test(migration.sql)) found.push('has a body of a function, which cannot be told from statements');
  return found.map((says) => `${migration.name}: ${says}`);
}

/** An index on a table that has rows is built beside them, outside of a transaction, and from the start where it was broken off. */
function unsafeIndex(
  statement: string,
  options: { readonly made: ReadonlySet<string | undefined>; readonly migration: Migration },
): string[] {
  const index = /\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+(CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(\w+)\s+ON\s+(\w+)/i.exec(statement);
  if (index === null || options.made.has(index[3])) return [];
  const [, concurrently, name] = index;
  if (concurrently === undefined) return [`builds the index ${name} under a lock: build it CONCURRENTLY in a file without a transaction`];
  if (options.migration.inTransaction) return [`builds the index ${name} CONCURRENTLY, which no transaction can`];
  const drop = new RegExp(`DROP\\s+INDEX\\s+CONCURRENTLY\\s+IF\\s+EXISTS\\s+${name}\\b`, 'i');
  return drop.test(options.migration.sql) ? [] : [`builds the index ${name} without dropping what a broken build has left`];
}

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

/**
 * One forward step of a schema. `version` is the number that its file name starts with.
 *
 * `compatibleWith` is the least schema version that a program has to know to run on the schema after this step: 1 for a step that only
 * adds, which is every one but those whose file says `-- contract: NNNN`. `inTransaction` is false where the file says
 * `-- no transaction`: its statements then run one by one, and again from the first where one of them failed.
 */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
  readonly compatibleWith: number;
  readonly inTransaction: boolean;
}

/** A step that a database has taken. `compatibleWith` is null where the program that took it knew no such thing. */
export interface AppliedMigration {
  readonly version: number;
  readonly compatibleWith: number | null;
}

/** What a database needs from this program: the steps to take, in order, and the newest step it has taken that this program does not know. */
export interface MigrationPlan {
  readonly pending: readonly Migration[];
  readonly newerVersion: number | null;
}

/** The dialects that have migrations. */
export type Dialect = 'sqlite' | 'postgres';

/** A store refuses to open for a reason that its operator can mend; the message is one sentence that says how. */
export class StoreRefusal extends Error {
  override readonly name = 'StoreRefusal';
}

const EXPANDS = 1;

/** Reads a migration from the name and the text of its file. */
export function parseMigration(file: string, sql: string): Migration {
  const contract = /^-- contract: (\d+)\s*$/m.exec(sql)?.[1];
  return {
    version: Number.parseInt(file, 10),
    name: file.replace(/\.sql$/, ''),
    sql,
    compatibleWith: contract === undefined ? EXPANDS : Number.parseInt(contract, 10),
    inTransaction: !/^-- no transaction\s*$/m.test(sql),
  };
}

/** The migrations of a dialect (`src/stores/migrations/<dialect>/NNNN-name.sql`), oldest first. Their numbers grow, and may leave gaps. */
export function loadMigrations(dialect: Dialect): Migration[] {
  const folder = new URL(`../migrations/${dialect}/`, import.meta.url);
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort();
  return files.map((file, index) => {
    const migration = parseMigration(file, readFileSync(new URL(file, folder), 'utf8'));
    const before = Number.parseInt(files[index - 1] ?? '0', 10);
    if (!(migration.version > before)) throw new Error(`migration ${file} has the number of the one before it, or none`);
    return migration;
  });
}

/**
 * What a database that has taken the steps `applied` lacks of `migrations`.
 *
 * A database that a newer program has migrated is taken as it is where every step that this program does not know says that this program
 * may run on it; else it is refused: going on could break rules that this program does not know.
 */
export function planMigrations(migrations: readonly Migration[], applied: readonly AppliedMigration[]): MigrationPlan {
  const known = migrations.at(-1)?.version ?? 0;
  const newer = applied.filter(({ version }) => version > known);
  const refusing = newer.filter(({ version, compatibleWith }) => (compatibleWith ?? version) > known);
  const taken = new Set(applied.map(({ version }) => version));
  const newerVersion = newer.length === 0 ? null : Math.max(...newer.map(({ version }) => version));
  if (newerVersion !== null && refusing.length > 0) {
    throw new StoreRefusal(
      `The database has schema version ${newerVersion}, but this program knows only up to version ${known}: start the newer Castellan that migrated it, or restore a backup.`,
    );
  }
  return { pending: migrations.filter(({ version }) => !taken.has(version)), newerVersion };
}

/** What is logged where a database is ahead of this program and takes it all the same. */
export const newerSchemaNotice = (version: number): string =>
  `the database has schema version ${version}, which is newer than this program and compatible with it`;

/** The statements of a migration that runs without a transaction. Each ends with a semicolon at the end of a line. */
export const statementsOf = ({ sql }: Migration): string[] =>
  sql
    .replaceAll(/^--.*$/gm, '')
    .split(/;[ \t]*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');

/** A hash of all migrations of a dialect, by which a dump of its schema tells whether it is up to date. */
export function migrationsHash(migrations: readonly Migration[]): string {
  const hash = createHash('sha256');
  for (const { name, sql } of migrations) hash.update(`${name}\n${sql}\n`);
  return hash.digest('hex');
}

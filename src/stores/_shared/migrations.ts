import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';

/** One forward step of a schema. `version` is the number that its file name starts with. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** The dialects that have migrations. */
export type Dialect = 'sqlite' | 'postgres';

/** A store refuses to open for a reason that its operator can mend; the message is one sentence that says how. */
export class StoreRefusal extends Error {
  override readonly name = 'StoreRefusal';
}

/** The migrations of a dialect (`src/stores/migrations/<dialect>/NNNN-name.sql`), oldest first. No two have one number. */
export function loadMigrations(dialect: Dialect): Migration[] {
  const folder = new URL(`../migrations/${dialect}/`, import.meta.url);
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort();
  return files.map((file, index) => {
    const version = Number.parseInt(file, 10);
    const previous = Number.parseInt(files[index - 1] ?? '0', 10);
    if (!(version > previous)) throw new Error(`migration ${file} is out of order: ${previous} comes before it`);
    return { version, name: file.replace(/\.sql$/, ''), sql: readFileSync(new URL(file, folder), 'utf8') };
  });
}

/**
 * The migrations that a database at `version` lacks, in order. Refuses a database that a newer program has migrated: going on could
 * break rules that this program does not know.
 */
export function pendingMigrations(migrations: readonly Migration[], version: number): Migration[] {
  const known = migrations.at(-1)?.version ?? 0;
  if (version > known) {
    throw new StoreRefusal(
      `The database has schema version ${version}, but this program knows only up to version ${known}: start the newer Castellan that migrated it, or restore a backup.`,
    );
  }
  return migrations.filter((migration) => migration.version > version);
}

/** A hash of all migrations of a dialect, by which a dump of its schema tells whether it is up to date. */
export function migrationsHash(migrations: readonly Migration[]): string {
  const hash = createHash('sha256');
  for (const { name, sql } of migrations) hash.update(`${name}\n${sql}\n`);
  return hash.digest('hex');
}

/**
 * Writes what each store's schema is after all migrations to `docs/schema/<dialect>.sql`; with `--check` it only tells whether those
 * files are up to date.
 *
 * The check makes the SQLite schema anew and compares it. Of the PostgreSQL dump it compares the hash of the migrations that the dump
 * was made from, so that it works where no server is installed; writing the dump needs one (and `pg_dump`).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { loadMigrations, migrationsHash, type Dialect } from '../src/stores/_shared/migrations.ts';
import { openPostgresStore } from '../src/stores/postgres/open-postgres-store.ts';
import { migrate } from '../src/stores/sqlite/migrate.ts';
import { postgresBinaries, startPostgresCluster } from '../test/support/postgres-cluster.ts';

const root = join(import.meta.dirname, '..');
const COMMAND = 'npm run schema:dump';

const fileOf = (dialect: Dialect): string => join('docs', 'schema', `${dialect}.sql`);

const headerOf = (
  dialect: Dialect,
): string => `-- The ${dialect === 'sqlite' ? 'SQLite' : 'PostgreSQL'} schema after all migrations. Written by \`${COMMAND}\`; not to be edited.
-- Migrations: ${migrationsHash(loadMigrations(dialect))}
`;

function dumpSqlite(): string {
  const db = new Database(':memory:');
  try {
    migrate(db, loadMigrations('sqlite'), { hit: () => undefined });
    // Tables first, then what hangs on them; indexes that SQLite makes by itself have no text.
    const statements = db
      .prepare<[], string>(`SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY tbl_name, type <> 'table', type, name`)
      .pluck()
      .all();
    return `${headerOf('sqlite')}\n${statements.map((sql) => `${sql};\n`).join('\n')}`;
  } finally {
    db.close();
  }
}

/** Lines of a dump that say when, where and by which version it was made, or only set up the session that reads it. */
const PASSING_LINE = /^(--.*|SET .*|SELECT pg_catalog\.set_config.*|\\.*)$/;

async function dumpPostgres(): Promise<string> {
  const cluster = await startPostgresCluster({ fsync: false });
  try {
    const url = await cluster.createDatabase();
    const store = await openPostgresStore({ url });
    await store.close();
    const dump = spawnSync('pg_dump', ['--schema-only', '--no-owner', '--no-privileges', url], { encoding: 'utf8' });
    if (dump.status !== 0) throw new Error(`pg_dump failed: ${dump.error?.message ?? dump.stderr}`);
    const lines = dump.stdout.split('\n').filter((line) => !PASSING_LINE.test(line));
    const statements = lines
      .join('\n')
      .replaceAll(/\n{3,}/g, '\n\n')
      .trim();
    return `${headerOf('postgres')}\n${statements}\n`;
  } finally {
    await cluster.stop();
  }
}

function readDump(dialect: Dialect): string {
  const file = join(root, fileOf(dialect));
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

/** The dumps that are out of date. */
function findStale(): Dialect[] {
  const stale: Dialect[] = [];
  if (readDump('sqlite') !== dumpSqlite()) stale.push('sqlite');
  if (!readDump('postgres').startsWith(headerOf('postgres'))) stale.push('postgres');
  return stale;
}

async function writeDumps(): Promise<void> {
  mkdirSync(join(root, 'docs', 'schema'), { recursive: true });
  writeFileSync(join(root, fileOf('sqlite')), dumpSqlite());
  if (postgresBinaries() === null) console.log(`${fileOf('postgres')} was left as it is: no PostgreSQL server is installed here`);
  else writeFileSync(join(root, fileOf('postgres')), await dumpPostgres());
}

if (!process.argv.includes('--check')) await writeDumps();
const stale = findStale();
for (const dialect of stale) console.log(`${fileOf(dialect)} is not what the migrations make; run ${COMMAND}`);
process.exitCode = stale.length > 0 ? 1 : 0;

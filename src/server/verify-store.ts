import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Verification } from '../ports/ledger-store.ts';
import type { StoreInspection } from '../stores/_shared/inspection.ts';
import { DATABASE_FILE } from '../stores/sqlite/connection.ts';
import { ConfigError } from './config-error.ts';

/** Looks at the store of a configuration, whether a server runs on it or not. */
async function openInspection({ dataDir, databaseUrl }: { dataDir: string; databaseUrl: string | null }): Promise<StoreInspection> {
  if (databaseUrl !== null) return (await (await import('../stores/postgres/inspect-postgres.ts')).inspectPostgres(databaseUrl)).inspection;
  const file = join(dataDir, DATABASE_FILE);
  if (!existsSync(file))
    throw new ConfigError(`There is no database in ${dataDir}: give the server's data folder with --data-dir, or its DATABASE_URL.`);
  return (await import('../stores/sqlite/inspect-sqlite.ts')).inspectSqlite(file);
}

/**
 * Recomputes the books of a store without a server. Throws a `ConfigError` where there is no store, or one of another schema than this
 * program's, and a `Fault` where it cannot be read.
 */
export async function verifyStore(config: { dataDir: string; databaseUrl: string | null }): Promise<Verification> {
  const inspection = await openInspection(config);
  try {
    const { version, known, state } = inspection.schema;
    if (state !== 'current')
      throw new ConfigError(
        `The database has schema version ${version}, and this program knows version ${known}: start this version's server on it first, or use the version that runs on it.`,
      );
    return await inspection.verify();
  } finally {
    await inspection.close();
  }
}

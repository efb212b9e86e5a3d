import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Verification } from '../ports/ledger-store.ts';
import type { StoreInspection } from '../stores/_shared/inspection.ts';
import { DATABASE_FILE } from '../stores/sqlite/connection.ts';
import { openHeadsFile, trailSecretFrom } from './audit-heads-file.ts';
import { ConfigError } from './config-error.ts';
import { type ConfiguredMasterKeys, findMasterKeys, KEY_SECRET_SETTING, openKeySecret } from './master-key.ts';
import { makeKeyRing } from './secrets/key-ring.ts';

/** Looks at the store of a configuration, whether a server runs on it or not. */
async function openInspection({ dataDir, databaseUrl }: { dataDir: string; databaseUrl: string | null }): Promise<StoreInspection> {
  if (databaseUrl !== null) return (await (await import('../stores/postgres/inspect-postgres.ts')).inspectPostgres(databaseUrl)).inspection;
  const file = join(dataDir, DATABASE_FILE);
  if (!existsSync(file))
    throw new ConfigError(`There is no database in ${dataDir}: give the server's data folder with --data-dir, or its DATABASE_URL.`);
  return (await import('../stores/sqlite/inspect-sqlite.ts')).inspectSqlite(file);
}

/** The secret that vouches for the trail; null where the master key that opens it is not at hand. */
async function trailSecretOf(
  { records }: StoreInspection,
  config: { dataDir: string } & Partial<ConfiguredMasterKeys>,
): Promise<string | null> {
  const setting = await records.record('setting', KEY_SECRET_SETTING);
  if (setting === undefined) return null;
  const { masterKey = null, previousMasterKey = null } = config;
  try {
    const [first, ...others] = findMasterKeys(config.dataDir, { masterKey, previousMasterKey }).keys;
    return first === undefined
      ? null
      : trailSecretFrom(openKeySecret({ setting, secretBox: makeKeyRing([first, ...others]), from: 'here' }));
  } catch (error) {
    if (error instanceof ConfigError) return null;
    throw error;
  }
}

/**
 * Recomputes the books of a store without a server, and holds its audit trail against what was exported into this data folder. Without the
 * master key nothing is said of signatures. Throws a `ConfigError` where there is no store, or one of another schema than this
 * program's, and a `Fault` where it cannot be read.
 */
export async function verifyStore(
  config: { dataDir: string; databaseUrl: string | null } & Partial<ConfiguredMasterKeys>,
): Promise<Verification> {
  const inspection = await openInspection(config);
  try {
    const { version, known, state } = inspection.schema;
    if (state !== 'current')
      throw new ConfigError(
        `The database has schema version ${version}, and this program knows version ${known}: start this version's server on it first, or use the version that runs on it.`,
      );
    const secret = await trailSecretOf(inspection, config);
    return await inspection.verify({ ...(await openHeadsFile(config.dataDir, secret).read()), secret });
  } finally {
    await inspection.close();
  }
}

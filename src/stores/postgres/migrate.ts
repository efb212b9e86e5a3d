import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Failpoints } from '../../ports/failpoints.ts';
import {
  loadMigrations,
  planMigrations,
  statementsOf,
  StoreRefusal,
  type AppliedMigration,
  type Migration,
} from '../_shared/migrations.ts';
import { sqlStateOf } from './sql-errors.ts';

/** The advisory lock under which nodes that start at the same time migrate one after another. */
export const MIGRATION_LOCK = 0x7e4b;

/** A lock was not to be had in time, or the wait for it went round in a ring, as with a start of the release before. */
const NO_LOCK: ReadonlySet<string | undefined> = new Set(['55P03', '40P01']);

const LOCK_PAUSE_MS = 50;

/** What runs without a transaction waits for others to end and lets everybody pass meanwhile. */
const PATIENT_LOCK_MS = 60_000;

/** How to migrate; what is not given is what a start does. Lengths are milliseconds. */
export interface MigrateOptions {
  readonly failpoints?: Failpoints | undefined;
  readonly migrations?: readonly Migration[];
  /**
   * How long a statement waits for the lock on a table. While it waits, everybody who comes after it waits behind it, so this is how
   * long a migration can hold up the nodes that serve.
   */
  readonly lockMs?: number;
  /** How often a step is tried, and how long the pauses between are, in which the nodes that serve catch up. */
  readonly attempts?: number;
  readonly pauseMs?: number;
}

type Step = Required<Omit<MigrateOptions, 'failpoints' | 'migrations'>> & { readonly failpoints: Failpoints | undefined };

/** Makes the table that says which steps were applied, or gives it what it lacks. */
const VERSION_TABLE = `
  CREATE TABLE IF NOT EXISTS schema_version (version bigint PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL);
  ALTER TABLE schema_version ADD COLUMN IF NOT EXISTS compatible_with bigint`;

async function rememberStep(client: pg.Client, { version, name, compatibleWith }: Migration): Promise<void> {
  const text = 'INSERT INTO schema_version (version, name, applied_at, compatible_with) VALUES ($1, $2, now(), $3)';
  await client.query(text, [version, name, compatibleWith]);
}

async function applyOnce(client: pg.Client, migration: Migration, { failpoints, lockMs }: Step): Promise<void> {
  const record = async (): Promise<void> => {
    await rememberStep(client, migration);
    failpoints?.hit('migrate.step');
  };
  // From here on others may be serving: no statement may stand in their way for long.
  await client.query(`SET lock_timeout = ${migration.inTransaction ? lockMs : PATIENT_LOCK_MS}`);
  if (!migration.inTransaction) {
    for (const statement of statementsOf(migration)) await client.query(statement);
    return record();
  }
  await client.query('BEGIN');
  try {
    await client.query(migration.sql);
    await record();
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
  await client.query('COMMIT');
}

/** Takes a step, again and again where somebody holds a lock on a table that it changes. */
async function applyStep(client: pg.Client, migration: Migration, step: Step): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await applyOnce(client, migration, step);
    } catch (error) {
      if (!NO_LOCK.has(sqlStateOf(error))) throw error;
      if (attempt >= step.attempts) {
        throw new StoreRefusal(
          `The migration ${migration.name} did not get the locks that it needs in ${attempt} attempts: end the long transactions on the database (see pg_stat_activity), and start again.`,
        );
      }
      await sleep(step.pauseMs);
    }
  }
}

/**
 * Waits for the lock by asking for it again and again: a statement that waits keeps a snapshot, and who builds an index beside the rows waits
 * for every snapshot that was there before. The lock belongs to the session: it goes with the connection even if this process dies half-way.
 */
async function takeLock(client: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await client.query<{ taken: boolean }>('SELECT pg_try_advisory_lock($1) AS taken', [MIGRATION_LOCK]);
    if (rows[0]?.taken === true) return;
    await sleep(LOCK_PAUSE_MS);
  }
}

/**
 * Brings the database's schema up to the newest of `migrations` (all that this program knows), one transaction for each step but those
 * that cannot run in one, under an advisory lock, while other nodes serve. Returns the newest step that the database has taken and that
 * is not among them, or null.
 *
 * Throws `StoreRefusal` where a newer program has migrated it to what this one cannot run on, or where the locks are not to be had.
 */
export async function migrate(client: pg.Client, options: MigrateOptions = {}): Promise<number | null> {
  const { failpoints, migrations = loadMigrations('postgres'), lockMs = 1000, attempts = 30, pauseMs = 500 } = options;
  await client.query(`SET statement_timeout = 0`);
  await takeLock(client);
  try {
    await client.query(VERSION_TABLE);
    const { rows } = await client.query<{ version: bigint; compatible_with: bigint | null }>(
      'SELECT version, compatible_with FROM schema_version ORDER BY version',
    );
    const applied = rows.map(({ version, compatible_with: marker }): AppliedMigration => ({
      version: Number(version),
      compatibleWith: marker === null ? null : Number(marker),
    }));
    const { pending, newerVersion } = planMigrations(migrations, applied);
    for (const migration of pending) await applyStep(client, migration, { failpoints, lockMs, attempts, pauseMs });
    return newerVersion;
  } finally {
    await client.query('SELECT pg_advisory_unlock($1)', [MIGRATION_LOCK]).catch(() => undefined);
  }
}

import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Fault } from '../../core/fault.ts';
import type { StoreInspection } from '../../stores/_shared/inspection.ts';
import { StoreRefusal } from '../../stores/_shared/migrations.ts';
import { DATABASE_FILE } from '../../stores/sqlite/connection.ts';
import { openEverySecret, neededMasterKeys } from '../backup/needed-keys.ts';
import { ConfigError } from '../config-error.ts';
import type { Config } from '../config.ts';
import { findMasterKeys, hasNextMasterKey, KEY_SECRET_SETTING, openKeySecret } from '../master-key.ts';
import { makeKeyRing } from '../secrets/key-ring.ts';
import { type Finding, findingsOf } from './finding.ts';

const LEAST_POSTGRES = 15;
/** What one node takes, with something to spare for commands. */
const NODE_CONNECTIONS = 16;
const LARGEST_CHECKED_BYTES = 512 * 1024 * 1024;
const CLOCK_SLACK_MS = 2000;
const CLOCK_FAR_MS = 60_000;

const database = findingsOf('database');
const clock = findingsOf('clock');
const secrets = findingsOf('secrets');

/** Looks at the database, the clock beside it, and whether the master key opens what it keeps. */
export async function checkStore(config: Config, nowMs: () => number): Promise<Finding[]> {
  try {
    return await (config.databaseUrl === null ? checkSqlite(config, nowMs) : checkPostgres(config.databaseUrl, config, nowMs));
  } catch (error) {
    if (error instanceof StoreRefusal || error instanceof ConfigError) return [database.fail(error.message)];
    if (!(error instanceof Fault)) throw error;
    const mend = config.databaseUrl === null ? 'restore a backup, or mend the disk' : 'check DATABASE_URL, and that the server runs';
    return [database.fail(`it cannot be used (${error.message}): ${mend}.`)];
  }
}

async function checkSqlite(config: Config, nowMs: () => number): Promise<Finding[]> {
  const file = join(config.dataDir, DATABASE_FILE);
  if (!existsSync(file))
    return [database.ok('embedded; the first start makes it'), clock.ok(new Date(nowMs()).toISOString()), ...checkKeysAlone(config)];
  const { inspectSqlite } = await import('../../stores/sqlite/inspect-sqlite.ts');
  const inspection = inspectSqlite(file);
  try {
    const { size } = statSync(file);
    const state = size > LARGEST_CHECKED_BYTES ? 'ok' : inspection.db.pragma('quick_check(1)', { simple: true });
    const text = `embedded, ${Math.ceil(size / 1024 / 1024)} MiB, schema version ${inspection.schema.version}`;
    const sound = state === 'ok' ? database.ok(text) : database.fail(`${file} is damaged (${String(state)}): restore a backup.`);
    return [sound, ...(await checkContents(config, inspection, nowMs()))];
  } finally {
    await inspection.close();
  }
}

async function checkPostgres(url: string, config: Config, nowMs: () => number): Promise<Finding[]> {
  const { inspectPostgres } = await import('../../stores/postgres/inspect-postgres.ts');
  const { inspection, facts } = await inspectPostgres(url);
  const seenMs = nowMs();
  try {
    const findings = [database.ok(`PostgreSQL ${facts.version}, schema version ${inspection.schema.version}`)];
    if (facts.versionNumber < LEAST_POSTGRES * 10_000)
      findings.push(database.fail(`PostgreSQL ${facts.version} is too old: Castellan needs ${LEAST_POSTGRES} or newer.`));
    if (facts.encoding !== 'UTF8') findings.push(database.fail(`the database is in ${facts.encoding}: create it with ENCODING 'UTF8'.`));
    if (facts.synchronousCommit === 'off')
      findings.push(
        database.fail('synchronous_commit is off, so that it may forget what it has confirmed: set it to on for this role or database.'),
      );
    if (facts.fsync === 'off')
      findings.push(database.warn('fsync is off: a crash of its machine may lose or break everything; set it to on.'));
    if (!facts.mayCreate) findings.push(database.fail('this role may not make tables: GRANT CREATE ON SCHEMA public to it.'));
    if (facts.maxConnections - facts.usedConnections < NODE_CONNECTIONS)
      findings.push(
        database.warn(
          `${facts.usedConnections} of ${facts.maxConnections} connections are used, and a node takes ${NODE_CONNECTIONS}: raise max_connections.`,
        ),
      );
    const behindMs = Math.abs(facts.nowMs - seenMs);
    if (behindMs > CLOCK_SLACK_MS)
      findings.push(clock.warn(`this machine and the database are ${Math.round(behindMs / 1000)} s apart: let both follow a time server.`));
    return [...findings, ...(await checkContents(config, inspection, facts.nowMs))];
  } finally {
    await inspection.close();
  }
}

/** What can be looked at whatever the store is. `nowMs` is the time that batches go by. */
async function checkContents(config: Config, inspection: StoreInspection, nowMs: number): Promise<Finding[]> {
  const { version, known, state } = inspection.schema;
  if (state === 'newer')
    return [
      database.fail(`its schema version is ${version}, and this program knows only up to ${known}: run the Castellan that migrated it.`),
    ];
  const ahead =
    state === 'ahead'
      ? [database.warn(`its schema version is ${version}, which is newer than this program and compatible with it: finish the upgrade.`)]
      : [];
  if (state !== 'current' && state !== 'ahead')
    return [database.ok(`the next start brings it to schema version ${known}`), clock.ok(new Date(nowMs).toISOString())];
  return [...ahead, checkClock(await inspection.lastBatchMs(), nowMs), ...(await checkSecrets(config, inspection))];
}

function checkClock(lastMs: number | null, nowMs: number): Finding {
  const aheadMs = lastMs === null ? 0 : lastMs - nowMs;
  if (aheadMs <= CLOCK_SLACK_MS) return clock.ok(new Date(nowMs).toISOString());
  const text = `the clock is ${Math.round(aheadMs / 1000)} s behind the last batch, and time stands still until it has caught up`;
  return aheadMs > CLOCK_FAR_MS
    ? clock.fail(`${text}: set the clock by a time server.`)
    : clock.warn(`${text}: let this machine follow a time server.`);
}

/** The master keys at hand, or what is wrong with a file of one. */
function masterKeysOf(config: Config): ReturnType<typeof findMasterKeys> | Finding {
  try {
    return findMasterKeys(config.dataDir, config);
  } catch (error) {
    if (error instanceof ConfigError) return secrets.fail(error.message);
    throw error;
  }
}

/** What is to be said of master keys where there is no database yet. */
function checkKeysAlone(config: Config): Finding[] {
  const found = masterKeysOf(config);
  if ('status' in found) return [found];
  const {
    keys: [first],
    source,
  } = found;
  if (first === undefined) return [secrets.ok('the first start makes master.key')];
  return [secrets.ok(`master key ${first.id} from ${source === 'file' ? 'master.key' : 'CASTELLAN_MASTER_KEY'}`)];
}

async function checkSecrets(config: Config, { records }: StoreInspection): Promise<Finding[]> {
  const found = masterKeysOf(config);
  if ('status' in found) return [found];
  const { keys, source } = found;
  const [first, ...others] = keys;
  const setting = await records.record('setting', KEY_SECRET_SETTING);
  if (setting === undefined) return checkKeysAlone(config);
  if (first === undefined)
    return [
      secrets.fail(
        'there is no master key, and without it the secrets in the database are lost: put master.key back from where it is kept, or set CASTELLAN_MASTER_KEY.',
      ),
    ];
  const ring = makeKeyRing([first, ...others]);
  try {
    openKeySecret({ setting, secretBox: ring, from: source === 'file' ? 'master.key' : 'CASTELLAN_MASTER_KEY' });
  } catch (error) {
    if (error instanceof ConfigError) return [secrets.fail(error.message)];
    throw error;
  }
  const { count, closed } = await openEverySecret(records, ring);
  const findings: Finding[] = [];
  if (closed.length > 0)
    findings.push(
      secrets.fail(
        `${closed.length} of ${count} do not open, the first in the ${closed[0]}: give that secret anew, or the master key that it was sealed with.`,
      ),
    );
  else findings.push(secrets.ok(`all ${count} open with the master key ${ring.sealingId}`));
  return [...findings, ...(await checkChange(config, source, { needed: await neededMasterKeys(records), first: first.id }))];
}

/** Whether a change of the master key is under way, or was forgotten. */
async function checkChange(
  config: Config,
  source: 'file' | 'environment',
  { needed, first }: { readonly needed: readonly string[]; readonly first: string },
): Promise<Finding[]> {
  if (source === 'file')
    return hasNextMasterKey(config.dataDir)
      ? [secrets.warn('a change of the master key has not ended: start the server, or run castellan rotate-master-key again.')]
      : [];
  if (config.previousMasterKey === null) return [];
  return needed.some((id) => id !== first)
    ? [secrets.warn('some are still sealed with CASTELLAN_MASTER_KEY_PREVIOUS: run castellan rotate-master-key.')]
    : [secrets.warn('none needs CASTELLAN_MASTER_KEY_PREVIOUS any more: unset it on every node.')];
}

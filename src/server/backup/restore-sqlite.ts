import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { StoreRefusal } from '../../stores/_shared/migrations.ts';
import { DATABASE_FILE, LOCK_FILE } from '../../stores/sqlite/connection.ts';
import { takeDataLock } from '../../stores/sqlite/data-lock.ts';
import { inspectSqlite } from '../../stores/sqlite/inspect-sqlite.ts';
import { migrateFile } from '../../stores/sqlite/migrate-file.ts';
import { openDataFolder, syncFolderOf } from '../data-folder.ts';
import { takeRunLock } from '../run-identity.ts';
import type { KeyRing } from '../secrets/key-ring.ts';
import { DATABASE_ENTRY } from './manifest.ts';
import type { Archive } from './read-archive.ts';
import { BackupRefusal } from './refusal.ts';
import { checkRestored, type RestoredState, type RestoreRequest } from './restore-checks.ts';
import type { TarEntry } from './tar.ts';
import { restoringFile } from './unfinished-restore.ts';

const SPARE_BYTES = 64 * 1024 * 1024;

/** What an empty data folder may hold: keys and credentials that were put there for this restore, and what locks leave. */
const ALLOWED_FILES = new Set([
  'master.key',
  'master.key.next',
  'master.key.previous',
  'credentials.json',
  LOCK_FILE,
  'run.lock',
  '.probe',
]);

/** Restores an embedded database into a data folder that {@link refuseFullFolder} takes. It has its name there only once everything about it was checked. */
export async function restoreSqlite(request: RestoreRequest, archive: Archive, ring: KeyRing): Promise<RestoredState> {
  const { dataDir } = request;
  openDataFolder(dataDir);
  const runLock = takeRunLock(dataDir);
  const dataLock = takeDataLock(join(dataDir, LOCK_FILE));
  const target = restoringFile(dataDir);
  try {
    removeDatabase(target);
    await archive.readData((entry) => writeDatabase(entry, target));
    if (!existsSync(target)) throw new BackupRefusal('The backup has no database in it.');
    // Verification knows the newest schema; a start would bring it up to date as well.
    migrateFile(target);
    const inspection = inspectSqlite(target);
    let state: RestoredState;
    try {
      state = await checkRestored(inspection, { manifest: archive.manifest, ring, onProgress: request.onProgress });
    } finally {
      await inspection.close();
    }
    syncFile(target);
    renameSync(target, join(dataDir, DATABASE_FILE));
    removeDatabase(target);
    syncFolderOf(target);
    return state;
  } catch (error) {
    removeDatabase(target);
    throw error;
  } finally {
    dataLock.release();
    runLock?.release();
  }
}

/** Refuses a folder that holds anything but keys, before a restore and before anything of it is changed. */
export function refuseFullFolder(dataDir: string): void {
  if (!existsSync(dataDir)) return;
  const names = readdirSync(dataDir).filter((name) => !ALLOWED_FILES.has(name) && !name.startsWith(`${DATABASE_FILE}.restoring`));
  const [found] = names;
  if (found === undefined) return;
  const isLive = names.includes(DATABASE_FILE) && isRunning(dataDir);
  throw new BackupRefusal(
    `${dataDir} is not empty (it holds ${found}${isLive ? ', and a Castellan runs on it' : ''}): restore into a new folder with --data-dir, and start there; nothing was changed.`,
  );
}

function isRunning(dataDir: string): boolean {
  try {
    takeDataLock(join(dataDir, LOCK_FILE)).release();
    return false;
  } catch (error) {
    return error instanceof StoreRefusal;
  }
}

function removeDatabase(file: string): void {
  for (const end of ['-wal', '-shm', '-journal', '']) rmSync(file + end, { force: true });
}

async function writeDatabase({ name, size, chunks }: TarEntry, target: string): Promise<void> {
  if (name !== DATABASE_ENTRY) throw new BackupRefusal(`The backup holds ${name.slice(0, 100)}, which this program does not know.`);
  const folder = join(target, '..');
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize < size + SPARE_BYTES)
    throw new BackupRefusal(`The disk of ${folder} has no room for the database (${size} bytes): make room, or name another folder.`);
  const file = openSync(target, 'wx', 0o600);
  try {
    for await (const chunk of chunks) writeFileSync(file, chunk);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncFile(path: string): void {
  const file = openSync(path, 'r+');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

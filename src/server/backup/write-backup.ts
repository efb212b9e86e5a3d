import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  createWriteStream,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { StoreInspection } from '../../stores/_shared/inspection.ts';
import { DATABASE_FILE } from '../../stores/sqlite/connection.ts';
import { copyDatabase } from '../../stores/sqlite/copy-database.ts';
import { inspectSqlite } from '../../stores/sqlite/inspect-sqlite.ts';
import { codeOf, syncFolderOf } from '../data-folder.ts';
import { programVersion } from '../version.ts';
import { CHECKSUMS_FILE, DATABASE_ENTRY, type Manifest, MANIFEST_FILE, type ManifestVerification, TABLES_PREFIX } from './manifest.ts';
import { neededMasterKeys } from './needed-keys.ts';
import { BackupRefusal } from './refusal.ts';
import { type TarEntry, writeTar } from './tar.ts';

/** Told what is being done, and how much of it, 0 to 1 where that is known. */
export type Progress = (what: string, share: number | null) => void;

/** What is backed up, and where to. */
export interface BackupRequest {
  readonly dataDir: string;
  readonly databaseUrl: string | null;
  readonly file: string;
  readonly nowMs: number;
  /** Whether the copy's books are verified, and their figures kept in the backup. */
  readonly isVerified: boolean;
  readonly onProgress: Progress;
}

/** A backup that was written. */
export interface Backup {
  readonly file: string;
  readonly bytes: number;
  readonly manifest: Manifest;
}

/** Fast, and within a tenth of what the slowest level saves. */
const GZIP_LEVEL = 3;

/** What is left free on the disk that a backup is written to. */
const SPARE_BYTES = 64 * 1024 * 1024;

/**
 * Writes a backup of a store, as it is at one moment, to a new file that only its owner may read, while servers go on. The file has its name
 * only once it is whole and on the disk: a backup that is killed leaves `<file>.partial`, which the next one replaces.
 *
 * Neither the master key nor `credentials.json` is in it. Throws a `BackupRefusal`, a `StoreRefusal`, or a `Fault` of the store.
 */
export async function writeBackup(request: BackupRequest): Promise<Backup> {
  const file = resolve(request.file);
  if (existsSync(file)) throw new BackupRefusal(`${file} exists already: name another file, or remove it.`);
  const partial = `${file}.partial`;
  try {
    rmSync(partial, { force: true });
    const manifest = await (request.databaseUrl === null
      ? backUpSqlite(request, partial)
      : backUpPostgres(request.databaseUrl, request, partial));
    syncFile(partial);
    giveName(partial, file);
    return { file, bytes: statSync(file).size, manifest };
  } catch (error) {
    throw explained(error, file);
  } finally {
    for (const left of [partial, ...copyFiles(partial)]) rmSync(left, { force: true });
  }
}

function giveName(partial: string, file: string): void {
  try {
    // Unlike a rename, this never takes the place of a file that somebody made meanwhile.
    linkSync(partial, file);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(codeOf(error))) throw error;
    // A file system without hard links.
    renameSync(partial, file);
  }
  syncFolderOf(file);
}

const copyFiles = (partial: string): string[] => ['.db', '.db-wal', '.db-shm', '.db-journal'].map((end) => partial + end);

function explained(error: unknown, file: string): unknown {
  const code = codeOf(error);
  if (error instanceof Error && 'syscall' in error)
    return new BackupRefusal(`The backup cannot be written to ${file} (${code}): give this user the right to, or name another folder.`);
  return error;
}

async function backUpSqlite(request: BackupRequest, partial: string): Promise<Manifest> {
  const source = join(request.dataDir, DATABASE_FILE);
  if (!existsSync(source))
    throw new BackupRefusal(
      `There is no database in ${request.dataDir}: give the server's data folder with --data-dir, or its DATABASE_URL.`,
    );
  const copy = `${partial}.db`;
  for (const left of copyFiles(partial)) rmSync(left, { force: true });
  refuseFullDisk(dirname(partial), 2 * statSync(source).size);
  // Made first, so that it never has another mode than this.
  closeSync(openSync(copy, 'wx', 0o600));
  await copyDatabase({ file: source, target: copy, onProgress: (share) => request.onProgress('copying the database', share) });
  const inspection = inspectSqlite(copy);
  let manifest: Manifest;
  try {
    manifest = await describeStore(inspection, { ...request, store: 'sqlite', tables: [] });
  } finally {
    await inspection.close();
  }
  const { size } = statSync(copy);
  const chunks = counted(createReadStream(copy, { highWaterMark: 1024 * 1024 }), size, (share) => request.onProgress('packing', share));
  await writeArchive(partial, manifest, [{ name: DATABASE_ENTRY, size, chunks }]);
  return manifest;
}

async function backUpPostgres(url: string, request: BackupRequest, partial: string): Promise<Manifest> {
  const { openOneSession } = await import('../../stores/postgres/one-session.ts');
  const { inspectSession } = await import('../../stores/postgres/inspect-postgres.ts');
  const { rowsOf, tablesOf } = await import('../../stores/postgres/copy-tables.ts');
  const session = await openOneSession({ url, name: 'castellan backup' });
  try {
    await session.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
    const inspection = await inspectSession(session);
    if (inspection.schema.state === 'empty') throw new BackupRefusal('The database at DATABASE_URL is empty: start Castellan on it first.');
    const tables = await tablesOf(session);
    const manifest = await describeStore(inspection, { ...request, store: 'postgres', tables });
    await writeArchive(partial, manifest, portionEntries(rowsOf(session, tables), { tables, onProgress: request.onProgress }));
    return manifest;
  } finally {
    await session.close();
  }
}

/** A file for each portion of rows, in it a row a line, as a JSON text. */
async function* portionEntries(
  portions: AsyncIterable<{ readonly table: string; readonly rows: readonly string[] }>,
  { tables, onProgress }: { readonly tables: Manifest['tables']; readonly onProgress: Progress },
): AsyncGenerator<TarEntry> {
  let number = 0;
  for await (const { table, rows } of portions) {
    onProgress(`copying ${table}`, tables.findIndex((each) => each.table === table) / tables.length);
    const bytes = Buffer.from(rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    number += 1;
    yield { name: `${TABLES_PREFIX}${table}/${String(number).padStart(6, '0')}.jsonl`, size: bytes.length, chunks: [bytes] };
  }
}

async function describeStore(inspection: StoreInspection, options: BackupRequest & Pick<Manifest, 'store' | 'tables'>): Promise<Manifest> {
  const { schema, records } = inspection;
  const isOurs = schema.state === 'current';
  if (schema.state === 'newer' || schema.state === 'ahead')
    throw new BackupRefusal(
      `The database has schema version ${schema.version}, and this program knows only up to ${schema.known}: back it up with the Castellan that migrated it.`,
    );
  let verification: ManifestVerification | null = null;
  if (options.isVerified && isOurs) {
    options.onProgress('verifying the copy', null);
    const { accounts, entries, reservations, discrepancies } = await inspection.verify();
    verification = { accounts, entries, reservations, discrepancies: discrepancies.length };
  }
  return {
    castellan_backup: 1,
    created_at: new Date(options.nowMs).toISOString(),
    program_version: programVersion(),
    store: options.store,
    schema_version: schema.version,
    schema_steps: schema.applied,
    master_keys: isOurs ? await neededMasterKeys(records) : [],
    master_key_included: false,
    verification,
    tables: options.tables,
  };
}

const jsonEntry = (name: string, value: object): TarEntry => {
  const bytes = Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
  return { name, size: bytes.length, chunks: [bytes] };
};

/** Manifest, data, and the checksums of both. */
async function writeArchive(file: string, manifest: Manifest, data: AsyncIterable<TarEntry> | Iterable<TarEntry>): Promise<void> {
  const sha256: Record<string, string> = {};
  const summed = ({ name, size, chunks }: TarEntry): TarEntry => ({
    name,
    size,
    chunks: (async function* () {
      const hash = createHash('sha256');
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
      sha256[name] = hash.digest('hex');
    })(),
  });
  async function* entries(): AsyncGenerator<TarEntry> {
    yield summed(jsonEntry(MANIFEST_FILE, manifest));
    for await (const entry of data) yield summed(entry);
    yield jsonEntry(CHECKSUMS_FILE, { sha256 });
  }
  const target = createWriteStream(file, { flags: 'wx', mode: 0o600 });
  await pipeline(Readable.from(writeTar(entries())), createGzip({ level: GZIP_LEVEL }), target);
}

async function* counted(chunks: AsyncIterable<Buffer>, size: number, onShare: (share: number) => void): AsyncGenerator<Buffer> {
  let seen = 0;
  for await (const chunk of chunks) {
    seen += chunk.length;
    onShare(size === 0 ? 1 : seen / size);
    yield chunk;
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

function refuseFullDisk(folder: string, neededBytes: number): void {
  const { bavail, bsize } = statfsSync(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= neededBytes + SPARE_BYTES) return;
  const mib = (bytes: number): number => Math.ceil(bytes / 1024 / 1024);
  throw new BackupRefusal(
    `The disk of ${folder} has ${mib(freeBytes)} MiB left, and the backup may need ${mib(neededBytes + SPARE_BYTES)}: make room, or name a file on another disk.`,
  );
}

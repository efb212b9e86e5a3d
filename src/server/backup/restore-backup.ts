import { codeOf } from '../data-folder.ts';
import type { Manifest } from './manifest.ts';
import { withArchive } from './read-archive.ts';
import { BackupRefusal } from './refusal.ts';
import { type RestoredState, type RestoreRequest, ringFor } from './restore-checks.ts';

/** What a restore did. */
export interface Restore extends RestoredState {
  readonly manifest: Manifest;
}

/**
 * Restores a backup into an empty data folder or an empty database, and into nothing else.
 *
 * The backup is checked against its own checksums, its secrets are opened with the master key at hand, and its books are recomputed and
 * compared with those that were backed up, before the database takes its place: what is killed or fails on the way leaves nothing that a
 * server would start on. Throws a `BackupRefusal`, a `ConfigError` or a `StoreRefusal`, each one sentence, or a `Fault` of the store.
 */
export async function restoreBackup(request: RestoreRequest): Promise<Restore> {
  const { file, dataDir, databaseUrl, onProgress } = request;
  try {
    return await withArchive({ file, onShare: (share) => onProgress('restoring', share) }, async (archive) => {
      const { manifest } = archive;
      if (manifest.store === 'sqlite' && databaseUrl !== null)
        throw new BackupRefusal('The backup is of an embedded database, but DATABASE_URL is set: unset it, and name an empty data folder.');
      if (manifest.store === 'postgres' && databaseUrl === null)
        throw new BackupRefusal('The backup is of a PostgreSQL database: set DATABASE_URL to an empty one, and restore again.');
      if (databaseUrl === null) {
        const { refuseFullFolder, restoreSqlite } = await import('./restore-sqlite.ts');
        refuseFullFolder(dataDir);
        const ring = ringFor(manifest, request);
        return { manifest, ...(await restoreSqlite(request, archive, ring)) };
      }
      const ring = ringFor(manifest, request);
      const { restorePostgres } = await import('./restore-postgres.ts');
      return { manifest, ...(await restorePostgres(databaseUrl, { archive, ring, request })) };
    });
  } catch (error) {
    if (error instanceof Error && 'syscall' in error && error.name === 'Error')
      throw new BackupRefusal(`The restore failed (${codeOf(error)}): check ${file} and the disk of ${dataDir}; nothing there will start.`);
    throw error;
  }
}

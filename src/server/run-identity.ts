import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Ids } from '../ports/ids.ts';
import { takeDataLock, type DataLock } from '../stores/sqlite/data-lock.ts';
import { readTextFile, writeFileDurably } from './data-folder.ts';

/** This run of the process, and the run before it on the same data folder where that one is dead for certain. */
export interface RunIdentity {
  readonly ownerId: string;
  readonly deadOwnerId: string | null;
}

/**
 * Takes the lock that a run holds on its data folder, whatever its store, until its process ends. Names and numbers of processes prove
 * nothing: two containers may have both alike. Throws a `StoreRefusal` where another run holds it; null where the file system cannot
 * lock, which costs only what {@link beginRun} could have known.
 */
export function takeRunLock(dataDir: string): DataLock | null {
  try {
    return takeDataLock(join(dataDir, 'run.lock'));
  } catch (error) {
    if (error instanceof Error && error.name === 'StoreRefusal') throw error;
    return null;
  }
}

/**
 * Names this run and remembers it in `run.json`, durably before it owns anything. A restarted node so knows at once which calls were
 * its own, without waiting until its last heartbeat is old: with the folder's lock in hand (`isLocked`) the run that is named there has
 * ended. A damaged file, a folder without a lock, or one that another machine wrote (locks may not reach that far) only costs that
 * knowledge: a run that may still live is never called dead.
 */
export function beginRun(options: { dataDir: string; ids: Ids; isLocked: boolean }): RunIdentity {
  const ownerId = options.ids.next('run');
  const deadOwnerId = options.isLocked ? ownerOf(readTextFile(join(options.dataDir, 'run.json'))) : null;
  rememberRun(options.dataDir, ownerId);
  return { ownerId, deadOwnerId };
}

/** Writes down that the run `ownerId` has the data folder now, and the process to send signals to. */
export function rememberRun(dataDir: string, ownerId: string, pid = process.pid): void {
  writeFileDurably(join(dataDir, 'run.json'), `${JSON.stringify({ owner_id: ownerId, host: hostname(), pid })}\n`);
}

function ownerOf(text: string | null): string | null {
  try {
    const kept = JSON.parse(text ?? 'null') as { owner_id?: unknown; host?: unknown } | null;
    return typeof kept?.owner_id === 'string' && kept.host === hostname() ? kept.owner_id : null;
  } catch {
    return null;
  }
}

import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Ids } from '../ports/ids.ts';
import { readTextFile, writeFileDurably } from './data-folder.ts';

/** This run of the process, and the run before it on the same data folder where that one is dead for certain. */
export interface RunIdentity {
  readonly ownerId: string;
  readonly deadOwnerId: string | null;
}

/**
 * Names this run and remembers it in `run.json`, durably before it owns anything. A restarted node so knows at once which calls were
 * its own, without waiting until its last heartbeat is old. A damaged file, or a folder that two nodes share, only costs that
 * knowledge: a run whose process may still live is never called dead.
 */
export function beginRun(options: { dataDir: string; ids: Ids }): RunIdentity {
  const path = join(options.dataDir, 'run.json');
  const ownerId = options.ids.next('run');
  const deadOwnerId = deadOwnerOf(readTextFile(path));
  writeFileDurably(path, `${JSON.stringify({ owner_id: ownerId, pid: process.pid, host: hostname() })}\n`);
  return { ownerId, deadOwnerId };
}

function deadOwnerOf(text: string | null): string | null {
  let kept: { owner_id?: unknown; pid?: unknown; host?: unknown } | null;
  try {
    kept = JSON.parse(text ?? 'null') as typeof kept;
  } catch {
    return null;
  }
  if (typeof kept?.owner_id !== 'string' || typeof kept.pid !== 'number' || kept.host !== hostname()) return null;
  return kept.pid !== process.pid && isAlive(kept.pid) ? null : kept.owner_id;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not ours to signal, but there.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

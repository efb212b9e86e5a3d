import { setTimeout as wait } from 'node:timers/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { takeRunLock } from '../run-identity.ts';
import { readRestartNote, readRunningPid, type RestartNote } from './restart-note.ts';

const LOOK_EVERY_MS = 50;
const LOOKS_FOR_LOCK = 10;

/** How asking for a restart ended. `absent`: nothing runs on the data folder. `silent`: nothing was heard in time. */
export type AskedRestart =
  | { readonly kind: 'served'; readonly fromPid: number; readonly pid: number }
  | { readonly kind: 'failed'; readonly fromPid: number; readonly reason: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'silent'; readonly fromPid: number };

/**
 * Asks the process that runs on a data folder to have itself replaced, and waits until the new one serves, or does not come about. One that
 * is under way already is joined.
 *
 * A number in a file proves nothing, for the system may have given it to another program since: nobody is signalled unless the lock of
 * the folder is held.
 */
export async function askRestart(options: { readonly dataDir: string; readonly limitMs: number }): Promise<AskedRestart> {
  const { dataDir, limitMs } = options;
  const fromPid = readRunningPid(dataDir);
  if (fromPid === null || !(await isHeld(dataDir))) return { kind: 'absent' };
  const before = readRestartNote(dataDir);
  try {
    process.kill(fromPid, 'SIGUSR2');
  } catch {
    return { kind: 'absent' };
  }
  const isNews = (note: RestartNote): boolean => note.state !== 'starting' && (note.id !== before?.id || before.state === 'starting');
  const until = performance.now() + limitMs;
  while (performance.now() < until) {
    await wait(LOOK_EVERY_MS);
    const note = readRestartNote(dataDir);
    if (note === null || !isNews(note)) continue;
    if (note.state === 'failed') return { kind: 'failed', fromPid, reason: note.reason };
    return { kind: 'served', fromPid, pid: note.pid };
  }
  return { kind: 'silent', fromPid };
}

/** Whether a process holds the data folder; while one hands over to the next, nobody does for a moment. */
async function isHeld(dataDir: string): Promise<boolean> {
  for (let looks = 0; looks < LOOKS_FOR_LOCK; looks += 1) {
    if (isLocked(dataDir)) return true;
    await wait(LOOK_EVERY_MS);
  }
  return false;
}

/** Whether a process holds the lock. Where the file system cannot lock, the number has to do. */
function isLocked(dataDir: string): boolean {
  if (!existsSync(join(dataDir, 'run.lock'))) return false;
  try {
    const lock = takeRunLock(dataDir);
    lock?.release();
    return lock === null;
  } catch {
    return true;
  }
}

import type { DataLock } from '../../stores/sqlite/data-lock.ts';
import { takeRunLock } from '../run-identity.ts';

/** How often a run that took over looks whether the one before it has let go of the data folder. */
const LOOK_EVERY_MS = 100;

/**
 * Takes the lock on a data folder as soon as the run before this one, which is still finishing what it began, lets go of it; then calls
 * `onTaken`. Until then the folder keeps naming that run: whoever starts in between and finds the lock free takes the right one for dead.
 * Returns what ends the attempts and lets go of the lock.
 */
export function adoptRunLock(dataDir: string, onTaken: () => void): () => void {
  let lock: DataLock | null = null;
  let timer: NodeJS.Timeout | undefined;
  const attempt = (): void => {
    try {
      lock = takeRunLock(dataDir);
    } catch {
      timer = setTimeout(attempt, LOOK_EVERY_MS);
      timer.unref();
      return;
    }
    onTaken();
  };
  attempt();
  return () => {
    clearTimeout(timer);
    lock?.release();
  };
}

import { close, fdatasync, openSync } from 'node:fs';
import { storeUnavailable } from './worker-errors.ts';

/** Brings the database's write-ahead log to the disk. */
export interface LogFlusher {
  /**
   * Resolves when everything that was written to the log before this call is on the disk. Calls at the same time share a flush.
   *
   * Rejects with a `Fault` `store_unavailable` where the disk fails, and does so for ever after: what the system could not write it may have
   * dropped, and a later flush that succeeds would say nothing about it.
   */
  flush(): Promise<void>;
  /** Lets a flush under way end, and closes the file. */
  close(): Promise<void>;
}

/** Opens the log file `file`, which exists while the database is open. `onFailed` is called once, with the first failure. */
export function openLogFlusher(file: string, onFailed: (error: Error) => void): LogFlusher {
  const fd = openSync(file, 'r+');
  let current: Promise<void> | null = null;
  let next: Promise<void> | null = null;
  let failure: Error | null = null;

  const sync = (): Promise<void> =>
    new Promise((resolve, reject) => {
      if (failure !== null) return reject(failure);
      fdatasync(fd, (error) => {
        if (error === null) return resolve();
        failure ??= storeUnavailable(`the log could not be flushed: ${error.message}`, error);
        reject(failure);
        onFailed(failure);
      });
    });

  const begin = (): Promise<void> => {
    const done = sync().finally(() => {
      if (current === done) current = null;
    });
    current = done;
    return done;
  };

  return {
    flush: () => {
      if (current === null) return begin();
      // The flush under way may have begun before the latest write: the next one covers it, and everything else until it begins.
      next ??= current
        .catch(() => undefined)
        .then(() => {
          next = null;
          return begin();
        });
      return next;
    },
    close: async () => {
      await (next ?? current)?.catch(() => undefined);
      await new Promise<void>((resolve) => close(fd, () => resolve()));
    },
  };
}

import type { Log } from '../ports/log.ts';

/** What has to be closed, in the order in which it was opened. */
export interface Closers {
  /** Registers the closer of something that just opened. */
  add(name: string, close: () => Promise<void> | void): void;
  /** Closes everything, last opened first, each even where one before it failed. Happens once; later calls wait for the first. */
  closeAll(): Promise<void>;
}

/** Makes an empty list of closers; failures to close are logged and go no further. */
export function makeClosers(log: Log): Closers {
  const open: { readonly name: string; readonly close: () => Promise<void> | void }[] = [];
  let closing: Promise<void> | undefined;

  const close = async (): Promise<void> => {
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      try {
        await next.close();
      } catch (err) {
        log.error({ part: next.name, err }, 'closing failed');
      }
    }
  };

  return {
    add: (name, closeIt) => void open.push({ name, close: closeIt }),
    closeAll: () => (closing ??= close()),
  };
}

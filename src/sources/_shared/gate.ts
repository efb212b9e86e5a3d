/** Lets no more than some works go on at once; others wait for their turn, but no longer than `waitMs`. */
export type Gate = <T>(work: () => Promise<T>) => Promise<T>;

/** A work was not begun: others took too long. */
export class GateBusy extends Error {
  override readonly name = 'GateBusy';
}

/** Makes a {@link Gate}. Works get their turn in the order in which they came. */
export function makeGate({ atOnce, waitMs }: { readonly atOnce: number; readonly waitMs: number }): Gate {
  const waiting = new Set<() => void>();
  let free = atOnce;

  const enter = (): Promise<void> => {
    if (free > 0) {
      free -= 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const turn = (): void => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        waiting.delete(turn);
        reject(new GateBusy('others take too long'));
      }, waitMs);
      waiting.add(turn);
    });
  };

  const leave = (): void => {
    const [next] = waiting;
    if (next === undefined) {
      free += 1;
      return;
    }
    // The place goes from one to the other, so that nobody who comes now takes it.
    waiting.delete(next);
    next();
  };

  return async (work) => {
    await enter();
    try {
      return await work();
    } finally {
      leave();
    }
  };
}

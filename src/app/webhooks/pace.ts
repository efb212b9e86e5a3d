/** Lets requests to webhooks begin: at once, or after a while where others must go first. */
export type Pace = () => Promise<void>;

/** While commands wait, so many requests begin in so many milliseconds: some hundredths of this process, and results that are written together. */
const BURST = 25;
const EVERY_MS = 100;

/**
 * Makes the pace of a node. Requests share the process with whoever waits for a hold, and one event may go to thousands: while commands
 * wait (`isBusy`) requests go a few at a time, and all at once while none do. Lengths in milliseconds; `elapsedMs` is a clock that never goes back.
 */
export function makePace(deps: {
  readonly isBusy: () => boolean;
  readonly elapsedMs: () => number;
  readonly wait: (ms: number) => Promise<void>;
}): Pace {
  let burstAtMs = -Infinity;
  let begun = 0;
  return async () => {
    if (!deps.isBusy()) return;
    const nowMs = deps.elapsedMs();
    if (nowMs >= burstAtMs + EVERY_MS) [burstAtMs, begun] = [nowMs, 0];
    if (begun === BURST) [burstAtMs, begun] = [burstAtMs + EVERY_MS, 0];
    begun += 1;
    if (burstAtMs > nowMs) await deps.wait(burstAtMs - nowMs);
  };
}

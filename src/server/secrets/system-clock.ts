import type { Clock } from '../../ports/clock.ts';

/** The clock of this machine. */
export const makeSystemClock = (): Clock => ({ nowMs: () => Date.now() });

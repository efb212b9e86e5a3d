import type { Clock } from '../ports/clock.ts';
import type { Failpoints } from '../ports/failpoints.ts';
import type { Ids } from '../ports/ids.ts';
import type { ClientTimeouts } from './listener.ts';
import type { ProcessLog } from './logging.ts';

/** What only the composition root of tests replaces; production gives none of it. */
export interface Overrides {
  readonly clock?: Clock;
  readonly ids?: Ids;
  readonly log?: ProcessLog;
  readonly failpoints?: Failpoints;
  /** URL of a module that exports `failpoints`, for the threads that this process starts. */
  readonly failpointsModule?: string;
  readonly clientTimeouts?: ClientTimeouts;
}

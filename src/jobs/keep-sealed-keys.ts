import type { SealedKeys } from '../app/sealed/sealed-keys.ts';
import type { Log } from '../ports/log.ts';
import { startJob, type Job } from './start-job.ts';

/** What has expired is forgotten so soon after, and a key that nobody asks for is changed so late at most. */
const KEEP_EVERY_MS = 60_000;

/** Starts what changes the keys of sealed calls when that is due, and forgets old ones. */
export const startKeepSealedKeys = ({ keys, log }: { readonly keys: Pick<SealedKeys, 'keep'>; readonly log: Log }): Job =>
  startJob({ name: 'keep-sealed-keys', everyMs: KEEP_EVERY_MS, firstInMs: KEEP_EVERY_MS, run: () => keys.keep(), log });

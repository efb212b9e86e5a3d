import type { KeptSpeeds } from '../app/calls/keep-speeds.ts';
import type { Log } from '../ports/log.ts';
import { startJob, type Job } from './start-job.ts';

/** Rarely: what a kill loses is measured again by the next calls. */
const KEEP_EVERY_MS = 60_000;

/** Starts what writes down the speeds of upstreams. */
export const startKeepSpeeds = ({ kept, log }: { readonly kept: KeptSpeeds; readonly log: Log }): Job =>
  startJob({ name: 'keep-speeds', everyMs: KEEP_EVERY_MS, firstInMs: KEEP_EVERY_MS, run: () => kept.save(), log });

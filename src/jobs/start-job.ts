import type { Log } from '../ports/log.ts';

/** What a run of a job found out: `more` means that it stopped at its limit, and that the next run should follow at once. */
export type JobResult = { readonly more: boolean } | void;

/** A job that runs until it is stopped. */
export interface Job {
  readonly name: string;
  /** How many runs have failed so far. */
  readonly failures: () => number;
  /** Lets the next run follow at once; one that is under way is followed by another. */
  wake(): void;
  /** Starts no further run, and resolves when the one under way has ended. */
  stop(): Promise<void>;
}

/** Every how many failures in a row one is logged, after the first: a store that is away for an hour must not fill the log. */
const LOG_EVERY_FAILURES = 100;
/** A pause is up to this share shorter or longer, so that the jobs of many nodes and of one node spread out. */
const JITTER = 0.1;

/**
 * Runs `run` after `firstInMs` (at once where it is not given), and then again `everyMs` after each run has ended. Runs never overlap. A run that fails is counted, logged (the first
 * of a row, then each hundredth) and followed by the next at the usual time. Waiting keeps no process alive.
 */
export function startJob(options: {
  name: string;
  everyMs: number;
  firstInMs?: number;
  run: () => Promise<JobResult>;
  log: Log;
  random?: () => number;
}): Job {
  const { name, everyMs, firstInMs = 0, run, log, random = Math.random } = options;
  let stopped = false;
  let failures = 0;
  let failuresInRow = 0;
  let wake: (() => void) | undefined;
  let isWoken = false;
  let timer: NodeJS.Timeout | undefined;

  const pause = (lengthMs: number): Promise<void> =>
    new Promise((resolve) => {
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
      timer = setTimeout(resolve, lengthMs * (1 + JITTER * (2 * random() - 1)));
      timer.unref();
    });

  const runOnce = async (): Promise<boolean> => {
    try {
      const result = await run();
      if (failuresInRow > 0) log.info({ job: name, failures: failuresInRow }, 'job works again');
      failuresInRow = 0;
      return result?.more === true;
    } catch (err) {
      failures += 1;
      if (failuresInRow % LOG_EVERY_FAILURES === 0) log.error({ job: name, failures: failuresInRow + 1, err }, 'job failed');
      failuresInRow += 1;
      return false;
    }
  };

  const loop = async (): Promise<void> => {
    if (firstInMs > 0) await pause(firstInMs);
    while (!stopped) {
      isWoken = false;
      const more = await runOnce();
      // Who was woken while it ran may have missed what it was woken for.
      if (!more && !isWoken && !stopped) await pause(everyMs);
    }
  };
  const ended = loop();

  return {
    name,
    failures: () => failures,
    wake: () => {
      isWoken = true;
      wake?.();
    },
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      wake?.();
      return ended;
    },
  };
}

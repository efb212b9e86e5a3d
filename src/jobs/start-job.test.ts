import { describe, expect, test } from 'vitest';
import type { Log } from '../ports/log.ts';
import { type JobResult, startJob } from './start-job.ts';

function recordingLog(): Log & { lines: string[] } {
  const lines: string[] = [];
  const line = (_fields: unknown, message: string): void => void lines.push(message);
  return { lines, debug: line, info: line, warn: line, error: line };
}

/** Resolves once `run` has been called `times` times. */
function countedRun(times: number, run: (call: number) => Promise<JobResult>) {
  let calls = 0;
  let reached = (): void => undefined;
  const done = new Promise<void>((resolve) => (reached = resolve));
  const counted = async (): Promise<JobResult> => {
    calls += 1;
    if (calls === times) reached();
    return run(calls);
  };
  return { done, counted, calls: () => calls };
}

describe('a job', () => {
  test('runs at once, and again without a pause while there is more to do', async () => {
    const run = countedRun(5, (call) => Promise.resolve({ more: call < 5 }));
    const job = startJob({ name: 'fold', everyMs: 3_600_000, run: run.counted, log: recordingLog() });
    await run.done;
    await job.stop();
    expect(run.calls()).toBe(5);
  });

  test('runs again after its pause', async () => {
    const run = countedRun(3, () => Promise.resolve());
    const job = startJob({ name: 'sweep', everyMs: 1, run: run.counted, log: recordingLog() });
    await run.done;
    await job.stop();
    expect(run.calls()).toBeGreaterThanOrEqual(3);
  });

  test('never overlaps itself', async () => {
    let active = 0;
    let most = 0;
    const run = countedRun(4, async () => {
      most = Math.max(most, ++active);
      await new Promise((resolve) => setImmediate(resolve));
      active -= 1;
    });
    const job = startJob({ name: 'slow', everyMs: 0, run: run.counted, log: recordingLog() });
    await run.done;
    await job.stop();
    expect(most).toBe(1);
  });

  test('goes on after a failure, counts every one and logs the first of a row', async () => {
    const log = recordingLog();
    const run = countedRun(5, (call) => (call < 4 ? Promise.reject(new Error('away')) : Promise.resolve()));
    const job = startJob({ name: 'poll', everyMs: 0, run: run.counted, log });
    await run.done;
    await job.stop();
    expect(job.failures()).toBe(3);
    expect(log.lines).toEqual(['job failed', 'job works again']);
  });

  test('stop waits for the run under way and starts no other', async () => {
    let finish = (): void => undefined;
    let finished = false;
    const run = countedRun(1, () => new Promise<void>((resolve) => (finish = resolve)).then(() => void (finished = true)));
    const job = startJob({ name: 'long', everyMs: 0, run: run.counted, log: recordingLog() });
    await run.done;
    const stopped = job.stop();
    finish();
    await stopped;
    expect(finished).toBe(true);
    expect(run.calls()).toBe(1);
  });

  test('stop during a pause returns at once', async () => {
    const run = countedRun(1, () => Promise.resolve());
    const job = startJob({ name: 'rare', everyMs: 3_600_000, run: run.counted, log: recordingLog() });
    await run.done;
    await new Promise((resolve) => setImmediate(resolve));
    await job.stop();
    expect(run.calls()).toBe(1);
  });
});

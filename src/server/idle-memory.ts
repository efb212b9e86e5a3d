import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Under this many calls there is little to give back. */
const WORTH_CALLS = 1000;
const CHECK_MS = 5000;

/** What of the process tells that it rests: calls so far, and those in flight. */
export interface Workload {
  readonly calls: number;
  readonly active: number;
}

/**
 * Gives the memory of a burst back to the system once it is over: an engine that rests collects nothing by itself, and a burst at noon would
 * stay resident all night.
 *
 * Looks every `checkMs`; collects once after at least a thousand calls, when none began between two looks and none is in flight. That takes a
 * tenth of a second in which nothing else happens, which is why it waits for a rest.
 */
export function startIdleMemory(options: { workload: () => Workload; collect?: () => void; checkMs?: number }): { stop(): void } {
  const { workload, collect = collectAll } = options;
  let seen = 0;
  let collectedAt = 0;
  const timer = setInterval(() => {
    const { calls, active } = workload();
    const rests = calls === seen && active === 0;
    seen = calls;
    if (!rests || calls - collectedAt < WORTH_CALLS) return;
    collectedAt = calls;
    collect();
  }, options.checkMs ?? CHECK_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

type Collector = (options: { readonly type: 'major'; readonly execution: 'sync'; readonly flavor: 'last-resort' }) => void;

/** A full collection that also returns free pages, which no other interface asks for. */
export function collectAll(): void {
  setFlagsFromString('--expose-gc');
  const collector: unknown = runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collector === 'function') (collector as Collector)({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}

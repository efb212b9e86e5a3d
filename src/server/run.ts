import { flushCompileCache } from 'node:module';
import { Fault } from '../core/fault.ts';
import type { LogFields } from '../ports/log.ts';
import { boot, type Running } from './boot.ts';
import { CONFIG_EXIT_CODE, ConfigError } from './config-error.ts';
import { isSuccessor, readConfig } from './config.ts';
import type { Overrides } from './overrides.ts';
import { makeFirstProcess } from './restart/first-process.ts';
import { makeSuccessor } from './restart/successor.ts';
import { endsWithin, stopLimitMs } from './stop-limit.ts';
import { welcome } from './welcome.ts';

/** What the first process waits for those that it started, beside what each of them takes at most. */
const CHILDREN_MS = 5000;

/**
 * The life of the process: reads the configuration, starts the program, prints how to use it, and ends it when the system asks for that, with exit code 0; with 1 where the store stops for good or the
 * stop itself hangs. SIGUSR2 replaces whoever serves by a new process (see {@link makeFirstProcess}). A start that fails is explained on
 * standard error; the code is 78 where the configuration is wrong, else 1.
 */
export async function run(overrides: Overrides = {}): Promise<void> {
  try {
    // Whatever this process writes, the database first of all, is its owner's business only.
    process.umask(0o077);
    await (isSuccessor() ? succeed(overrides) : start(overrides));
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    process.exit(error instanceof ConfigError ? CONFIG_EXIT_CODE : 1);
  }
}

/** Resolves when the system asks the process to end. */
const untilStopAsked = (): Promise<void> =>
  new Promise((resolve) => {
    // Left in place for good: npm passes signals on to a process that has had them already, and the second must change nothing.
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });

async function start(overrides: Overrides): Promise<void> {
  const stopAsked = untilStopAsked();
  let restart = (): void => undefined;
  // From the first moment on: a signal that nobody listens to ends the process.
  if (process.platform !== 'win32') process.on('SIGUSR2', () => restart());
  const config = await readConfig();
  const first = await boot(config, overrides);
  const { log } = first;
  process.stdout.write(welcome(first, config.dataDir));
  // Now, since a process that is killed writes nothing. Does nothing where the launcher asked for no cache.
  flushCompileCache();

  const watchStore = (running: Running): void => {
    // Also while it stops: what is in flight cannot be booked any more, and the next start settles it.
    void running.storeLost.then((err) => {
      if (life.isServing(running)) endNow(running, { err }, 'the store has stopped for good: this process ends, a new start recovers');
    });
  };
  const life = makeFirstProcess({ config, overrides, first, log, onRunning: watchStore });
  watchStore(first);
  restart = () => void life.restart();
  const code = await Promise.race([life.ended, stopAsked.then(() => null)]);
  if (code !== null) {
    log.flush();
    process.exit(code);
  }
  log.info({}, 'stopping: finishing what is in flight');
  const limitMs = stopLimitMs(config.gateway.drainMs) + CHILDREN_MS;
  let exitCode = 1;
  const isDone = await endsWithin(
    life.stop().then((ended) => void (exitCode = ended)),
    limitMs,
  );
  if (!isDone) endNow({ log }, { limitMs }, 'the stop took too long: this process ends without it');
  process.exit(exitCode);
}

/** The life of a process that a running one started, to take over from it. */
async function succeed(overrides: Overrides): Promise<void> {
  const stopAsked = untilStopAsked();
  const successor = makeSuccessor({
    overrides,
    onServing: (running) =>
      void running.storeLost.then((err) => {
        if (successor.running() === running)
          endNow(running, { err }, 'the store has stopped for good: this process ends, a new start recovers');
      }),
  });
  await Promise.race([stopAsked, successor.ended]);
  const running = successor.running();
  if (running === null) process.exit(0);
  const limitMs = stopLimitMs(successor.drainMs());
  if (!(await endsWithin(running.stop(), limitMs))) endNow(running, { limitMs }, 'the stop took too long: this process ends without it');
  process.exit(0);
}

/** Ends the process at once, as a failure. Connections break off with it, so that nobody takes what it has for a whole answer. */
function endNow({ log }: Pick<Running, 'log'>, fields: LogFields, message: string): never {
  log.error(fields, message);
  log.flush();
  process.exit(1);
}

/** One sentence where an operator can mend it; everything there is where it is our fault. */
function explain(error: unknown): string {
  if (error instanceof ConfigError || (error instanceof Error && error.name === 'StoreRefusal')) return error.message;
  if (error instanceof Fault)
    return `The store cannot be used (${error.message}): check DATABASE_URL, or the disk of the data folder, and start again.`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

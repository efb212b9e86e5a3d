import { Fault } from '../core/fault.ts';
import type { LogFields } from '../ports/log.ts';
import { boot, type Running } from './boot.ts';
import { CONFIG_EXIT_CODE, ConfigError } from './config-error.ts';
import { readConfig } from './config.ts';
import type { Overrides } from './overrides.ts';
import { endsWithin, stopLimitMs } from './stop-limit.ts';
import { welcome } from './welcome.ts';

/**
 * The life of the process: reads the configuration, starts the program, prints how to use it, and ends it when the system asks for
 * that, with exit code 0; with 1 where the store stops for good or the stop itself hangs. A start that fails is explained on standard error; the code is 78 where the configuration is wrong, else 1.
 */
export async function run(overrides: Overrides = {}): Promise<void> {
  try {
    await start(overrides);
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`);
    process.exit(error instanceof ConfigError ? CONFIG_EXIT_CODE : 1);
  }
}

async function start(overrides: Overrides): Promise<void> {
  const stopAsked = new Promise<void>((resolve) => {
    // Left in place for good: npm passes signals on to a process that has had them already, and the second must change nothing.
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  // Whatever this process writes, the database first of all, is its owner's business only.
  process.umask(0o077);
  const config = await readConfig();
  const running = await boot(config, overrides);
  process.stdout.write(welcome(running, config.dataDir));

  // Also while it stops: what is in flight cannot be booked any more, and the next start settles it.
  void running.storeLost.then((err) => endNow(running, { err }, 'the store has stopped for good: this process ends, a new start recovers'));
  await stopAsked;
  running.log.info({}, 'stopping: finishing what is in flight');
  const limitMs = stopLimitMs(config.gateway.drainMs);
  if (!(await endsWithin(running.stop(), limitMs))) endNow(running, { limitMs }, 'the stop took too long: this process ends without it');
  process.exit(0);
}

/** Ends the process at once, as a failure. Connections break off with it, so that nobody takes what it has for a whole answer. */
function endNow({ log }: Running, fields: LogFields, message: string): never {
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

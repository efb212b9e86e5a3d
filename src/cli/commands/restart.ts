import { InvalidArgumentError, type Command } from 'commander';
import type { Context } from '../context.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { renderFields } from '../output/table.ts';
import type { Run } from '../run-command.ts';

/** A new process may take three minutes to be ready, and the embedded database waits for calls in flight before that. */
const DEFAULT_LIMIT_SECONDS = 300;

/** Adds `restart`. */
export function addRestart(program: Command, run: Run): void {
  program
    .command('restart')
    .description('replace the running server by a new process, without dropping a call')
    .option('--timeout <seconds>', 'how long to wait until the new process serves', readSeconds, DEFAULT_LIMIT_SECONDS)
    .action(run(restart));
}

function readSeconds(text: string): number {
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (seconds > 0) return seconds;
  throw new InvalidArgumentError('It must be a whole number of seconds, from 1 to 99999.');
}

async function restart(context: Context, options: { readonly timeout: number }): Promise<void> {
  if (process.platform === 'win32') throw new CommandError('Windows has no signal for it: stop the server, and start it again.');
  const { readClientConfig } = await import('../../server/config.ts');
  const { askRestart } = await import('../../server/restart/ask-restart.ts');
  const { dataDir } = readClientConfig(context.settings);
  context.terminal.err('A new process is starting; the old one serves until it is ready ...\n');
  const asked = await askRestart({ dataDir, limitMs: options.timeout * 1000 });
  switch (asked.kind) {
    case 'absent':
      throw new CommandError(
        `no server of this machine runs on ${dataDir}: start it with castellan start, or give its folder with --data-dir.`,
        EXIT.unreachable,
      );
    case 'silent':
      throw new CommandError(
        `the process ${asked.fromPid} said nothing of a new one within ${options.timeout} seconds: its log tells how far it is.`,
      );
    case 'failed':
      throw new CommandError(`the new process did not start (${asked.reason}), and the old one serves on: the log of the server says why.`);
    case 'served':
      context.print({ pid: asked.pid, asked_pid: asked.fromPid }, () =>
        renderFields(
          [
            ['serves now', `process ${asked.pid}`],
            ['the old one', 'finishes what it began, and ends'],
          ],
          context,
        ),
      );
  }
}

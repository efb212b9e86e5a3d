import type { Command } from 'commander';
import type { Run } from '../run-command.ts';

/** Adds `start`: the server, in this process, until it is told to stop. */
export function addStart(program: Command, run: Run): void {
  program
    .command('start')
    .description('run the server until it is told to stop')
    .action(
      run(async ({ overlay }) => {
        const { layOverEnvironment } = await import('../../server/config.ts');
        const { run: serve } = await import('../../server/run.ts');
        layOverEnvironment(overlay);
        await serve();
      }),
    );
}

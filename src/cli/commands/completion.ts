import type { Command } from 'commander';
import { Argument } from 'commander';
import { bashCompletion } from '../completion/bash.ts';
import { fishCompletion } from '../completion/fish.ts';
import { wordsOf } from '../completion/words.ts';
import { zshCompletion } from '../completion/zsh.ts';
import type { Run } from '../run-command.ts';

const SHELLS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** Adds `completion`. */
export function addCompletion(program: Command, run: Run): void {
  program
    .command('completion')
    .description('print the completion of a shell')
    .addArgument(new Argument('<shell>').choices(Object.keys(SHELLS)))
    .action(run(async ({ terminal }, shell: keyof typeof SHELLS) => terminal.out(SHELLS[shell](wordsOf(program)))));
}

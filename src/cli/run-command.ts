import type { Command } from 'commander';
import type { Context } from './context.ts';

/** Makes the action of a command: what commander calls with the arguments, then the options, then the command. */
export type Run = <A extends unknown[]>(
  act: (context: Context, ...given: A) => Promise<void>,
) => (...args: [...A, ...unknown[]]) => Promise<void>;

/** Makes a {@link Run} over the way to a context. */
export const makeRun =
  (contextOf: (command: Command) => Context): Run =>
  <A extends unknown[]>(act: (context: Context, ...given: A) => Promise<void>) =>
  async (...args) => {
    // Commander gives the command last, behind the arguments and the options that it was made with.
    const command = args.at(-1) as Command;
    await act(contextOf(command), ...(args.slice(0, -1) as A));
  };

import { createInterface } from 'node:readline/promises';

/** Where a command writes, and what it may ask. */
export interface Terminal {
  /** The result of the command, and nothing else. */
  out(text: string): void;
  /** What goes on, and what went wrong. */
  err(text: string): void;
  /** Whether the result may be coloured. */
  readonly isColoured: boolean;
  /** Whether a line on standard error may be written over, to show how far something is. */
  readonly isLive: boolean;
  /** Asks for a yes; null where there is nobody to ask. */
  confirm(question: string): Promise<boolean | null>;
}

/** The terminal of this process. Colours follow `NO_COLOR`, `FORCE_COLOR` and whether a person reads. */
export function makeTerminal(env: NodeJS.ProcessEnv): Terminal {
  const { stdout, stderr, stdin } = process;
  // A reader that has seen enough, such as `head`, is no failure.
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    isColoured: wantsColour(env, stdout.isTTY),
    isLive: stderr.isTTY && env['TERM'] !== 'dumb',
    confirm: async (question) => {
      if (!stdin.isTTY || !stderr.isTTY) return null;
      const lines = createInterface({ input: stdin, output: stderr });
      try {
        return /^y(es)?$/i.test((await lines.question(`${question} [y/N] `)).trim());
      } finally {
        lines.close();
      }
    },
  };
}

/** Source: no-color.org; `FORCE_COLOR` as other programs of Node.js take it. */
export function wantsColour(env: NodeJS.ProcessEnv, isTty: boolean): boolean {
  const { NO_COLOR: no, FORCE_COLOR: force, TERM: term } = env;
  if (no !== undefined && no !== '') return false;
  if (force !== undefined && force !== '') return force !== '0';
  return isTty && term !== 'dumb';
}

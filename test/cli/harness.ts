import { runCli } from '../../src/cli/program.ts';
import { makeSend } from '../../src/cli/send.ts';
import { makeSurroundings, type Surroundings } from '../../src/cli/surroundings.ts';
import type { ExitCode } from '../../src/cli/exit-codes.ts';

/** What a command wrote and how it ended. */
export interface CliRun {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
  /** The result as JSON. */
  json<T = Record<string, unknown>>(): T;
}

/** Runs a command inside this process, as a person at no terminal would, with exactly these variables. */
export async function cli(
  args: readonly string[],
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly nowMs?: number;
    readonly answer?: boolean | null;
    readonly isColoured?: boolean;
    /** What is written to the command. */
    readonly input?: string;
    /** Stand-ins for what it asks of the machine. */
    readonly around?: Partial<Surroundings>;
  } = {},
): Promise<CliRun> {
  let out = '';
  let err = '';
  const code = await runCli(args, {
    env: options.env ?? {},
    terminal: {
      out: (text) => (out += text),
      err: (text) => (err += text),
      isColoured: options.isColoured ?? false,
      isLive: false,
      confirm: async () => options.answer ?? null,
    },
    send: makeSend(),
    around: { ...makeSurroundings(), input: async () => options.input ?? '', ...options.around },
    nowMs: () => options.nowMs ?? Date.now(),
  });
  return { code, out, err, json: <T>() => JSON.parse(out) as T };
}

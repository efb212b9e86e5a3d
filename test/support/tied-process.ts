import { spawn } from 'node:child_process';

/** A program that runs beside the test. */
export interface TiedProcess {
  /** Whether it has ended by itself. */
  hasEnded(): boolean;
  /** Kills it, and waits until it is gone. */
  stop(): Promise<void>;
}

/** Runs a program until it ends or the input of this shell does: the kernel closes that when the test's process is killed. */
const UNTIL_INPUT_ENDS = `
exec 3<&0
"$@" </dev/null 3<&- &
pid=$!
{ cat <&3 >/dev/null; kill -KILL $pid; } 2>/dev/null &
exec 3<&-
wait $pid
`;

/** Starts a program that goes when the test does, however that ends. What it prints goes to `output`, or nowhere. */
export function startTied(command: readonly string[], output: number | 'ignore' = 'ignore'): TiedProcess {
  const child = spawn('/bin/sh', ['-c', UNTIL_INPUT_ENDS, 'castellan-tied', ...command], { stdio: ['pipe', output, output] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.stdin?.on('error', () => undefined);
  return {
    hasEnded: () => child.exitCode !== null,
    stop: async () => {
      child.stdin?.end();
      await ended;
    },
  };
}

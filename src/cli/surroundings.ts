import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { text } from 'node:stream/consumers';

/** What a command asks of the machine around it; a test gives stand-ins. */
export interface Surroundings {
  /** Runs a program in a folder, and gives what it printed; null where it is not there, or fails. */
  output(program: string, args: readonly string[], folder: string): Promise<string | null>;
  /** Runs a program on this very terminal, and gives the code that it ended with; null where it is not there. */
  hand(program: string, args: readonly string[]): Promise<number | null>;
  /** What is written to the command, to its end. */
  input(): Promise<string>;
  wait(ms: number): Promise<void>;
  /** The lines of an answer as they come; rejects with its status and text where it is a refusal. */
  lines(url: string, headers: Readonly<Record<string, string>>): AsyncIterable<string>;
}

/** An answer whose lines were asked for, and which is a refusal. */
export class RefusedLines extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const KILLED = 128;

async function* linesOf(url: string, headers: Readonly<Record<string, string>>): AsyncGenerator<string, void, undefined> {
  const { Agent, request } = await import('undici');
  // Lines may be far apart.
  const dispatcher = new Agent({ headersTimeout: 0, bodyTimeout: 0, connect: { timeout: 10_000 } });
  try {
    const { statusCode, body } = await request(url, { headers: { ...headers }, dispatcher });
    if (statusCode !== 200) throw new RefusedLines(statusCode, await body.text());
    body.setEncoding('utf8');
    let rest = '';
    for await (const piece of body) {
      const parts = (rest + String(piece)).split('\n');
      rest = parts.pop() ?? '';
      yield* parts;
    }
    if (rest !== '') yield rest;
  } finally {
    await dispatcher.destroy();
  }
}

/** The machine that this process runs on. */
export const makeSurroundings = (): Surroundings => ({
  output: (program, args, folder) =>
    new Promise((resolve) => {
      execFile(program, [...args], { cwd: folder, encoding: 'utf8' }, (err, stdout) => resolve(err === null ? stdout : null));
    }),
  hand: async (program, args) => {
    const child = spawn(program, [...args], { stdio: 'inherit' });
    const ended = once(child, 'exit') as Promise<[number | null]>;
    try {
      const [code] = await ended;
      return code ?? KILLED;
    } catch {
      return null;
    }
  },
  input: () => text(process.stdin),
  wait: (ms) => pause(ms),
  lines: linesOf,
});

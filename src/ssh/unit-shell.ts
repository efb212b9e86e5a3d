import { setTimeout as wait } from 'node:timers/promises';
import type { ExecOutput, ExecSpec, TerminalSize, UnitExec } from '../ports/container-engine.ts';

/** A process of a session, in a unit. */
export interface UnitShell {
  /** As of a `UnitExec`; ends with the process's streams. */
  readonly output: AsyncIterable<ExecOutput>;
  write(bytes: Uint8Array): Promise<void>;
  endInput(): Promise<void>;
  resize(size: TerminalSize): Promise<void>;
  /** Sends a signal, named without `SIG`, to the process and those that it started in its group. */
  signal(name: string): Promise<void>;
  /** What it ended with, once its streams have; null where nobody knows. */
  exitCode(): Promise<number | null>;
  /** Ends it if it goes on, first by asking it, and lets go of it. */
  end(): Promise<void>;
}

/** What is to run. `terminal` null: without one. */
export interface ShellSpec {
  readonly command: readonly string[];
  readonly env: ExecSpec['env'];
  readonly terminal: TerminalSize | null;
}

/** A unit in which nothing can be run: `message` is for its owner. */
export class ShellError extends Error {}

/** Everything runs under this: it tells its process id first, which engines keep to themselves, and stays the same process. */
const BEGIN = 'echo $$; exec "$@"';
/** The same with a terminal, which has no size yet: it waits for a line that is written when it has one. */
const BEGIN_SIZED = 'echo $$; read -r go; exec "$@"';
const GO = '\n';
const KILL = 'kill "-$1" "-$2" 2>/dev/null || kill "-$1" "$2"';
/** Ends what a terminal's reader is reading, as the key for it does. */
const END_OF_INPUT = '\u0004';

const MAX_FIRST_LINE = 4096;
const NEWLINE = 10;
const CARRIAGE_RETURN = 13;
/** From the request to end to the kill. */
const GRACE_MS = 2000;
/** An engine may take a moment to see that a process has ended whose streams have. */
const EXIT_LOOKS = 50;
const EXIT_EVERY_MS = 100;

/** Starts a process whose streams, signals and end are those of a session. Throws a {@link ShellError} where the unit has no shell, and `EngineFault`. */
export async function startShell(start: (spec: ExecSpec) => Promise<UnitExec>, spec: ShellSpec): Promise<UnitShell> {
  const { terminal, env } = spec;
  const hasTerminal = terminal !== null;
  const exec = await start({
    command: ['sh', '-c', hasTerminal ? BEGIN_SIZED : BEGIN, 'sh', ...spec.command],
    env,
    hasTerminal,
  });
  try {
    const pieces = exec.output[Symbol.asyncIterator]();
    const { pid, rest } = await readPid(pieces);
    if (terminal !== null) {
      await exec.resize(terminal);
      await exec.write(Buffer.from(GO));
    }
    return shellOf({ start, exec, pid, hasTerminal, output: hasTerminal ? withoutEcho(rest, pieces) : joined(rest, pieces) });
  } catch (error) {
    exec.close();
    throw error;
  }
}

function shellOf(of: {
  readonly start: (spec: ExecSpec) => Promise<UnitExec>;
  readonly exec: UnitExec;
  readonly pid: string;
  readonly hasTerminal: boolean;
  readonly output: AsyncIterable<ExecOutput>;
}): UnitShell {
  const { start, exec, pid, hasTerminal, output } = of;

  async function signal(name: string): Promise<void> {
    const killer = await start({ command: ['sh', '-c', KILL, 'sh', name, pid], env: [], hasTerminal: false });
    try {
      killer.endInput();
      const pieces = killer.output[Symbol.asyncIterator]();
      while ((await pieces.next()).done !== true);
    } finally {
      killer.close();
    }
  }

  return {
    output,
    write: (bytes) => exec.write(bytes),
    endInput: async () => {
      if (hasTerminal) await exec.write(Buffer.from(END_OF_INPUT));
      else exec.endInput();
    },
    resize: (size) => exec.resize(size),
    signal,
    exitCode: async () => {
      for (let looks = 0; looks < EXIT_LOOKS; looks += 1) {
        const code = await exec.exitCode();
        if (code !== null) return code;
        await wait(EXIT_EVERY_MS);
      }
      return null;
    },
    end: async () => {
      try {
        if ((await exec.exitCode()) !== null) return;
        await signal('HUP');
        for (let waited = 0; waited < GRACE_MS; waited += EXIT_EVERY_MS) {
          if ((await exec.exitCode()) !== null) return;
          await wait(EXIT_EVERY_MS);
        }
        await signal('KILL');
      } finally {
        exec.close();
      }
    },
  };
}

/** The first line that a process writes: its id. What came behind it is left. */
async function readPid(pieces: AsyncIterator<ExecOutput>): Promise<{ readonly pid: string; readonly rest: ExecOutput[] }> {
  const others: ExecOutput[] = [];
  let line = Buffer.alloc(0);
  while (line.length < MAX_FIRST_LINE) {
    const next = await pieces.next();
    if (next.done === true) break;
    if (next.value.stream === 'stderr') {
      others.push(next.value);
      continue;
    }
    line = Buffer.concat([line, next.value.bytes]);
    const end = line.indexOf(NEWLINE);
    if (end === -1) continue;
    const pid = line.subarray(0, end).toString('latin1').trim();
    if (!/^\d{1,10}$/.test(pid)) break;
    const bytes = line.subarray(end + 1);
    return { pid, rest: bytes.length === 0 ? others : [...others, { stream: 'stdout', bytes }] };
  }
  throw new ShellError('the unit has no shell: there is no program named sh in its image');
}

async function* joined(first: readonly ExecOutput[], pieces: AsyncIterator<ExecOutput>): AsyncGenerator<ExecOutput, void, undefined> {
  yield* first;
  for (let next = await pieces.next(); next.done !== true; next = await pieces.next()) yield next.value;
}

/** What a terminal shows, without the line break that it shows for the line that the process waited for. */
async function* withoutEcho(first: readonly ExecOutput[], pieces: AsyncIterator<ExecOutput>): AsyncGenerator<ExecOutput, void, undefined> {
  let expected: number | null = CARRIAGE_RETURN;
  for await (const { stream, bytes } of joined(first, pieces)) {
    let rest = bytes;
    if (expected === CARRIAGE_RETURN) {
      if (rest[0] === CARRIAGE_RETURN) rest = rest.subarray(1);
      expected = NEWLINE;
    }
    if (expected === NEWLINE && rest.length > 0) {
      if (rest[0] === NEWLINE) rest = rest.subarray(1);
      expected = null;
    }
    if (rest.length > 0) yield { stream, bytes: rest };
  }
}

import { describe, expect, test } from 'vitest';
import type { ExecOutput, ExecSpec, TerminalSize, UnitExec } from '../ports/container-engine.ts';
import { startShell, type UnitShell } from './unit-shell.ts';

/** A process whose output is planned, and what was done with it. */
function planned(pieces: readonly (string | ExecOutput)[], exitCodes: readonly (number | null)[] = [0]) {
  const done: string[] = [];
  const codes = [...exitCodes];
  const specs: ExecSpec[] = [];
  const execOf = (output: AsyncIterable<ExecOutput>): UnitExec => ({
    output,
    write: async (bytes) => void done.push(`write ${JSON.stringify(Buffer.from(bytes).toString())}`),
    endInput: () => void done.push('end input'),
    resize: async ({ columns, rows }: TerminalSize) => void done.push(`resize ${columns}x${rows}`),
    exitCode: async () => (codes.length > 1 ? (codes.shift() ?? null) : (codes[0] ?? null)),
    close: () => void done.push('close'),
  });
  async function* output(): AsyncGenerator<ExecOutput> {
    await Promise.resolve();
    for (const piece of pieces) yield typeof piece === 'string' ? { stream: 'stdout', bytes: Buffer.from(piece) } : piece;
  }
  async function* nothing(): AsyncGenerator<ExecOutput> {
    await Promise.resolve();
    yield* [];
  }
  const start = async (spec: ExecSpec): Promise<UnitExec> => {
    specs.push(spec);
    if (specs.length === 1) return execOf(output());
    done.push(`kill ${spec.command.slice(-2).join(' ')}`);
    return { ...execOf(nothing()), endInput: () => undefined, close: () => undefined };
  };
  return { done, specs, start };
}

async function textOf(shell: UnitShell): Promise<string> {
  let text = '';
  for await (const { bytes } of shell.output) text += Buffer.from(bytes).toString();
  return text;
}

const plain = { command: ['true'], env: [], terminal: null };
const sized = { command: ['true'], env: [], terminal: { columns: 101, rows: 33 } };

describe('what a process writes first', () => {
  test.each([
    [['42\n', 'out'], 'out'],
    [['4', '2', '\nout'], 'out'],
    [['42\nout\n', 'more'], 'out\nmore'],
    [['42\n'], ''],
    [[{ stream: 'stderr', bytes: Buffer.from('warning ') } as const, '42\nout'], 'warning out'],
  ])('is its id, and not shown: %j', async (pieces, shown) => {
    const { start } = planned(pieces);
    expect(await textOf(await startShell(start, plain))).toBe(shown);
  });

  test.each([[[]], [['']], [['no such program\n']], [['42']], [['x'.repeat(5000)]], [['-1\n']]])(
    'is no id where there is no shell: %j',
    async (pieces) => {
      const { start, done } = planned(pieces);
      await expect(startShell(start, plain)).rejects.toThrow('the unit has no shell');
      expect(done).toEqual(['close']);
    },
  );
});

test.each([
  [['42\r\n', '\r\nprompt'], 'prompt'],
  [['42\r\n\r\nprompt'], 'prompt'],
  [['42\r\n', '\r', '\n', 'prompt'], 'prompt'],
  [['42\n', '\nprompt'], 'prompt'],
  [['42\r\n', '\r\n\r\nprompt'], '\r\nprompt'],
  [['42\r\n', 'prompt'], 'prompt'],
])('a terminal has its size before anything runs in it, and shows nothing of that: %j', async (pieces, shown) => {
  const { start, done } = planned(pieces);
  const shell = await startShell(start, sized);
  expect(done).toEqual(['resize 101x33', 'write "\\n"']);
  expect(await textOf(shell)).toBe(shown);
  await shell.endInput();
  expect(done.at(-1)).toBe('write "\\u0004"');
});

test('a signal goes to the group of the process, and an end of input to the process', async () => {
  const { start, done } = planned(['42\n']);
  const shell = await startShell(start, plain);
  await shell.signal('INT');
  await shell.endInput();
  expect(done).toEqual(['kill INT 42', 'end input']);
});

test('the end asks a process that goes on, and then kills it; one that has ended is let go of', async () => {
  const going = planned(['42\n'], [null]);
  const paused: number[] = [];
  await (await startShell(going.start, plain, async (ms) => paused.push(ms))).end();
  expect(paused.reduce((sum, ms) => sum + ms)).toBe(2000);
  expect(going.done).toEqual(['kill HUP 42', 'kill KILL 42', 'close']);
  const leaving = planned(['42\n'], [null, null, 129]);
  await (await startShell(leaving.start, plain, async () => undefined)).end();
  expect(leaving.done).toEqual(['kill HUP 42', 'close']);
  const ended = planned(['42\n'], [0]);
  await (await startShell(ended.start, plain)).end();
  expect(ended.done).toEqual(['close']);
});

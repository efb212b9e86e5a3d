import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describeMachine } from './machine.ts';
import { ROOT } from './processes.ts';

/** One line of a result: what was measured, our figure, the other's in the same interleaved run, their ratio, and what is owed. */
export interface Row {
  readonly what: string;
  readonly ours: string;
  readonly baseline: string;
  readonly ratio: string;
  readonly owed: string;
  readonly notes?: string;
}

/** Prints a row as soon as it is there. */
export function printRow(row: Row): void {
  console.log(
    `${row.what}\n    ours ${row.ours} | baseline ${row.baseline} | ratio ${row.ratio} | owed ${row.owed}${row.notes === undefined ? '' : `\n    ${row.notes}`}`,
  );
}

/** Keeps the rows with the machine's description as `bench/results/<name>.md`. */
export function keepResult(name: string, rows: readonly Row[]): string {
  const folder = path.join(ROOT, 'bench/results');
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${name}.md`);
  const machine = Object.entries(describeMachine()).map(([key, value]) => `- ${key}: ${value}`);
  const table = rows.map((row) => `| ${row.what} | ${row.ours} | ${row.baseline} | ${row.ratio} | ${row.owed} | ${row.notes ?? ''} |`);
  const lines = [
    `# Bench results: ${name}`,
    '',
    `Made by \`npm run bench\` on ${new Date().toISOString().slice(0, 10)}. Figures of one row come from one interleaved run; machines differ, ratios carry over.`,
    '',
    ...machine,
    '',
    '| what | ours | baseline | ratio | owed | notes |',
    '|---|---|---|---|---|---|',
    ...table,
    '',
  ];
  writeFileSync(file, lines.join('\n'));
  return file;
}

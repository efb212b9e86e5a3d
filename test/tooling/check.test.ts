import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'castellan-check-'));
  mkdirSync(join(root, 'tools'));
  copyFileSync(join(import.meta.dirname, '../../tools/check.ts'), join(root, 'tools/check.ts'));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function check(scripts: Record<string, string>): { status: number | null; lines: string[] } {
  writeFileSync(join(root, 'package.json'), JSON.stringify({ type: 'module', scripts }));
  const run = spawnSync(process.execPath, [join(root, 'tools/check.ts')], { encoding: 'utf8' });
  const lines = run.stdout.split('\n').filter((line) => line !== '');
  return { status: run.status, lines: lines.map((line) => line.replace(/ +\d+\.\d s$/, ' <time>')) };
}

test('every check runs in order, a line each, and other scripts do not', () => {
  const scripts = { start: 'exit 9', 'check:one': 'echo noise', check: 'exit 9', 'check:two': 'exit 0' };
  expect(check(scripts)).toEqual({ status: 0, lines: ['ok   check:one <time>', 'ok   check:two <time>'] });
});

test('the first that fails ends the run, shows what it wrote and is named', () => {
  const scripts = { 'check:one': 'exit 0', 'check:two': 'echo wrote; echo complained >&2; exit 3', 'check:three': 'exit 0' };
  expect(check(scripts)).toEqual({
    status: 1,
    lines: [
      'ok   check:one <time>',
      'FAIL check:two <time>',
      'wrote',
      'complained',
      'check:two failed; run it alone with: npm run check:two',
    ],
  });
});

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const PROJECT = join(import.meta.dirname, '../..');
const OXLINT = join(PROJECT, 'node_modules/oxlint/bin/oxlint');

/** One planted fault a file: path, code, and the rule that must report it. A rule that is off, or a type checker that is missing, shows here. */
const PLANTED = [
  ['src/app/floating.ts', 'const save = async (): Promise<void> => {};\nsave();', 'no-floating-promises'],
  ['src/app/misused.ts', 'const save = async (): Promise<void> => {};\n[1].forEach(async () => { await save(); });', 'no-misused-promises'],
  ['src/app/thenable.ts', 'export const one = async (): Promise<number> => await 1;', 'await-thenable'],
  ['src/app/explicit-any.ts', 'export const read = (x: any): unknown => x as unknown;', 'no-explicit-any'],
  [
    'src/app/hidden-any.ts',
    'export const read = (text: string): unknown => { const x = JSON.parse(text); return [x]; };',
    'no-unsafe-assignment',
  ],
  [
    'src/app/switch.ts',
    "export const f = (x: 'a' | 'b'): number => { switch (x) { case 'a': return 1; } return 2; };",
    'switch-exhaustiveness-check',
  ],
  ['src/app/console.ts', "console.log('hello');", 'no-console'],
  ['src/app/throws.ts', "export const fail = (): never => { throw 'text'; };", 'only-throw-error'],
  ['src/app/cycle-a.ts', "import { b } from './cycle-b.ts';\nexport const a = (): number => b();", 'no-cycle'],
  ['src/app/cycle-b.ts', "import { a } from './cycle-a.ts';\nexport const b = (): number => a();", 'no-cycle'],
  ['src/app/NotKebab.ts', 'export const one = 1;', 'filename-case'],
  ['src/app/long-file.ts', 'export const one = 1;\n'.replace('one', 'first') + '// line\n'.repeat(600), 'max-lines'],
  ['src/app/long-function.ts', `export const f = (): void => {\n${'  void 0;\n'.repeat(121)}};`, 'max-lines-per-function'],
  ['src/core/clock.ts', 'export const now = (): number => Date.now();', 'no-restricted-properties'],
  ['src/core/dice.ts', 'export const roll = (): number => Math.random();', 'no-restricted-properties'],
  ['src/core/environment.ts', 'export const pid = (): number => process.pid;', 'no-restricted-globals'],
  ['src/core/timer.ts', 'export const later = (f: () => void): unknown => setTimeout(f, 1);', 'no-restricted-globals'],
  ['test/only.test.ts', "import { expect, test } from 'vitest';\ntest.only('one', () => { expect(1).toBe(1); });", 'no-focused-tests'],
  ['test/skip.test.ts', "import { expect, test } from 'vitest';\ntest.skip('one', () => { expect(1).toBe(1); });", 'no-disabled-tests'],
  ['test/hollow.test.ts', "import { test } from 'vitest';\ntest('one', () => {});", 'expect-expect'],
] as const;

const ALLOWED = [
  ['src/server/main.ts', "console.log('ready');"],
  ['src/core/pure.ts', 'export const dayOf = (nowMs: number): string => new Date(nowMs).toISOString().slice(0, 10);'],
  ['tools/print.ts', "console.log('done');"],
] as const;

type Diagnostic = { readonly code: string; readonly filename: string };

describe('a planted fault is reported', () => {
  let root = '';
  let status: number | null = null;
  let found: readonly Diagnostic[] = [];

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'castellan-lint-'));
    for (const file of ['.oxlintrc.json', 'tsconfig.json', 'package.json']) copyFileSync(join(PROJECT, file), join(root, file));
    symlinkSync(join(PROJECT, 'node_modules'), join(root, 'node_modules'));
    for (const [path, code] of [...PLANTED, ...ALLOWED]) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), `${code}\n`);
    }
    const run = spawnSync(process.execPath, [OXLINT, '--format', 'json', 'src', 'test', 'tools'], { cwd: root, encoding: 'utf8' });
    status = run.status;
    found = (JSON.parse(run.stdout) as { diagnostics: Diagnostic[] }).diagnostics;
  });
  afterAll(() => {
    rmSync(root, { recursive: true, force: true });
  });

  test.each(PLANTED)('%s', (path, _code, rule) => {
    const codes = found.filter((diagnostic) => diagnostic.filename === path).map((diagnostic) => diagnostic.code);
    expect(codes).toContainEqual(expect.stringMatching(new RegExp(`\\(${rule}\\)$`)));
  });

  test('and the run fails', () => {
    expect(status).toBe(1);
  });

  test.each(ALLOWED)('but not in %s', (path) => {
    expect(found.filter((diagnostic) => diagnostic.filename === path)).toEqual([]);
  });
});

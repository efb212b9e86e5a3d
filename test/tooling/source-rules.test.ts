import { describe, expect, test } from 'vitest';
import { checkSource } from '../../tools/source-rules.ts';

function messages(path: string, code: string): string[] {
  return checkSource(path, code).map(({ line, message }) => `${line}: ${message}`);
}

describe('what is exported from core, ports, app and client carries a docstring', () => {
  test.each([
    ['a function', 'export function decide(): void {}', 'decide'],
    ['an async generator', 'export async function* scan(): AsyncGenerator<number> { yield 1; }', 'scan'],
    ['a constant', 'export const limit = 1;', 'limit'],
    ['the second of two constants', '/** A limit. */\nconst low = 1;\nexport const high = low;', 'high'],
    ['a type', 'export type Money = bigint;', 'Money'],
    ['an interface', 'export interface Clock { now(): number }', 'Clock'],
    ['a class', 'export class Fault extends Error {}', 'Fault'],
    ['a default export', 'export default 1;', 'default'],
    ['a list', 'const hidden = 1;\nexport { hidden as shown };', 'hidden'],
    ['a plain comment', '// The limit.\nexport const limit = 1;', 'limit'],
    ['a block comment', '/* The limit. */\nexport const limit = 1;', 'limit'],
    ['an empty block', '/** */\nexport const limit = 1;', 'limit'],
    ['a block of the statement before it', '/** The limit. */\nconst low = 1; export const limit = low;', 'limit'],
    ['a block above the imports', "/** This file. */\nimport { a } from './a.ts';\nexport const limit = a;", 'limit'],
  ])('%s without one is reported', (_what, code, name) => {
    for (const layer of ['core', 'ports', 'app', 'client']) {
      const found = messages(`src/${layer}/planted.ts`, code);
      expect(found).toEqual([expect.stringMatching(new RegExp(`^\\d+: exported \`${name}\` has no docstring$`))]);
    }
  });

  test.each([
    ['a block', '/** Money. */\nexport type Money = bigint;'],
    ['a block over a line for the linter', '/** Money. */\n// oxlint-disable-next-line no-console\nexport const money = 1n;'],
    ['letters beyond ASCII above it', "const sign = '€ é 🏰';\n/** Money. */\nexport const money = sign;"],
    [
      'overloads, documented once',
      '/** Adds. */\nexport function add(a: 1): 1;\nexport function add(a: 2): 2;\nexport function add(a: 1 | 2): 1 | 2 { return a; }',
    ],
    ['a list of documented things', '/** Hidden. */\nconst hidden = 1;\nexport { hidden };'],
    ['nothing exported', 'const hidden = 1;\nvoid hidden;'],
  ])('%s is fine', (_what, code) => {
    expect(messages('src/core/fine.ts', code)).toEqual([]);
  });

  test('other layers and unit tests need none', () => {
    const code = 'export const limit = 1;';
    expect(messages('src/stores/sqlite/open.ts', code)).toEqual([]);
    expect(messages('src/core/money.test.ts', code)).toEqual([]);
  });

  test('the line is the one of the export', () => {
    expect(messages('src/core/planted.ts', "const sign = '€';\n\nexport const limit = sign;")).toEqual([
      '3: exported `limit` has no docstring',
    ]);
  });
});

describe('the environment is read in src/server/config.ts only', () => {
  test.each([
    'const url = process.env.DATABASE_URL;',
    "const url = process.env['DATABASE_URL'];",
    "const url = process['env'].DATABASE_URL;",
    'const url = globalThis.process.env.DATABASE_URL;',
    'const read = () => process.env;',
    'const { env } = process;',
    'const { env: settings } = process;',
    "import { env } from 'node:process';",
    "import { env as settings } from 'process';",
  ])('%s', (code) => {
    expect(messages('src/server/main.ts', code)).toEqual(['1: reads the environment; only src/server/config.ts does']);
    expect(messages('src/server/config.ts', code)).toEqual([]);
  });

  test('other fields of that name are no environment', () => {
    const code =
      "import { pid } from 'node:process';\nconst { env } = { env: 1 };\nconst x = [env, pid, process.argv, process.pid, config.env];";
    expect(messages('src/server/main.ts', code)).toEqual([]);
  });
});

describe('modules', () => {
  test.each([
    ['let', 'let count = 0;'],
    ['exported let', 'export let count = 0;'],
    ['var', 'var count = 0;'],
  ])('keep no state: %s', (_what, code) => {
    expect(messages('src/server/main.ts', code)).toEqual([expect.stringContaining('at module level is state that every user shares')]);
  });

  test('may keep state inside functions', () => {
    expect(messages('src/server/main.ts', 'const make = () => { let count = 0; return () => (count += 1); };')).toEqual([]);
  });

  test('are not imported for their side effects', () => {
    expect(messages('src/server/main.ts', "import './install.ts';")).toEqual(['1: imports `./install.ts` for its side effects']);
  });

  test('are no barrel files, but for the client', () => {
    const code = "export * from './a.ts';\nexport { b } from './b.ts';";
    expect(messages('src/app/index.ts', code)).toEqual(['1: a barrel file: import from where things are declared']);
    expect(messages('src/client/index.ts', code)).toEqual([]);
  });
});

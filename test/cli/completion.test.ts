import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from './harness.ts';

const scripts: Record<string, string> = {};
let folder = '';
beforeAll(async () => {
  for (const shell of ['bash', 'zsh', 'fish']) scripts[shell] = (await cli(['completion', shell])).out;
  folder = mkdtempSync(join(tmpdir(), 'castellan-completion-'));
  writeFileSync(join(folder, 'backup one.tar.gz'), '');
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What bash offers for a line, by its own completion. */
function completeInBash(words: readonly string[]): string[] {
  const program = `${scripts['bash']}
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_castellan
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const run = spawnSync('bash', ['--norc', '-c', program, 'bash', ...words], { encoding: 'utf8', cwd: folder });
  expect([run.status, run.stderr]).toEqual([0, '']);
  return run.stdout
    .split('\n')
    .filter((line) => line !== '')
    .toSorted();
}

describe('bash', () => {
  test.each([
    [['castellan', 'ten'], ['tenants']],
    [['castellan', 'ro'], ['rotate-master-key']],
    [
      ['castellan', ''],
      [
        'backup',
        'completion',
        'containers',
        'doctor',
        'keys',
        'restart',
        'restore',
        'rotate-master-key',
        'start',
        'tenants',
        'usage',
        'verify',
      ],
    ],
    [
      ['castellan', 'keys', ''],
      ['create', 'delete', 'list', 'show', 'update'],
    ],
    [['castellan', '-o', 'json', 'keys', 'c'], ['create']],
    [['castellan', 'keys', 'create', '--ki'], ['--kind']],
    [['castellan', 'keys', 'create', 'x', '--kind', 'a'], ['admin']],
    [['castellan', 'usage', '--time', '6'], ['60d']],
    [
      ['castellan', 'usage', '--output', ''],
      ['json', 'table'],
    ],
    [['castellan', '-o', 't'], ['table']],
    [
      ['castellan', 'completion', ''],
      ['bash', 'fish', 'zsh'],
    ],
    [['castellan', 'keys', 'create', '--data-d'], ['--data-dir']],
    [['castellan', 'restore', 'back'], ['backup one.tar.gz']],
    [['castellan', '--config', 'back'], ['backup one.tar.gz']],
    [['castellan', 'keys', 'list', '--tenant', ''], []],
    [['castellan', 'tenants', 'nonsense', 'zzz'], []],
  ])('%j is completed to %j', (words, expected) => {
    expect(completeInBash(words)).toEqual(expected);
  });

  test('the command is registered for itself', () => {
    const run = spawnSync('bash', ['--norc', '-c', `${scripts['bash']}\ncomplete -p castellan`], { encoding: 'utf8' });
    expect(run.stdout).toMatch(/-F _castellan castellan/);
  });
});

/** A shell reads the script without running it, where the shell is installed. */
const isInstalled = (shell: string): boolean => spawnSync(shell, ['-c', 'exit 0']).status === 0;

describe.each(['zsh', 'fish'])('%s', (shell) => {
  test('every command, option and choice is in the script', async () => {
    const text = scripts[shell] ?? '';
    for (const word of [
      'rotate-master-key',
      'tenants',
      'create',
      'delete',
      'max-tokens',
      'operator-key-file',
      '60d',
      'management',
      'output',
    ])
      expect(text).toContain(word);
    // Nothing that a description says can end its quotes.
    expect((text.match(/(?<!\\)'/g) ?? []).length % 2).toBe(0);
  });

  test(`the shell takes the script${isInstalled(shell) ? '' : ' (not installed here: looked at as text only)'}`, () => {
    const text = scripts[shell] ?? '';
    expect(text).toMatch(shell === 'zsh' ? /^#compdef castellan\n/ : /^# Completion of castellan for fish/);
    if (!isInstalled(shell)) return;
    const file = join(folder, `script.${shell}`);
    writeFileSync(file, text);
    const run = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
    expect([run.status, run.stderr]).toEqual([0, '']);
  });
});

test.runIf(isInstalled('fish'))('fish completes commands, options and choices', () => {
  const file = join(folder, 'loaded.fish');
  writeFileSync(file, scripts['fish'] ?? '');
  const complete = (line: string): string[] => {
    const run = spawnSync('fish', ['--no-config', '-c', `source ${file}; complete -C '${line}'`], { encoding: 'utf8' });
    expect([run.status, run.stderr]).toEqual([0, '']);
    return run.stdout.split('\n').flatMap((each) => (each === '' ? [] : [each.split('\t')[0] ?? '']));
  };
  expect(complete('castellan ten')).toEqual(['tenants']);
  expect(complete('castellan keys ')).toEqual(['create', 'delete', 'list', 'show', 'update']);
  expect(complete('castellan keys create --ki')).toEqual(['--kind']);
  expect(complete('castellan usage --time 6')).toEqual(['60d']);
});

test('another shell is refused with the ones that there are', async () => {
  const run = await cli(['completion', 'tcsh']);
  expect([run.code, run.err]).toEqual([2, expect.stringContaining('bash, zsh, fish') as string]);
});

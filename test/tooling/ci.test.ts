import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/**
 * Runs `.ci/run` in a tree of its own, where npm, apt-get and sudo are scripts that act as told; nothing is installed.
 * On the PATH there is nothing else but what the script itself needs, so that a missing program is really missing.
 */
const PROJECT = join(import.meta.dirname, '../..');
const NEEDED = ['bash', 'cat', 'dirname', 'env', 'mktemp', 'rm'];
const TOOLS = ['git', 'ip', 'ps', 'setpriv', 'mount'];

let parent = '';
let root = '';
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'castellan-ci-'));
  root = join(parent, 'project');
  mkdirSync(root);
  for (const folder of ['.ci', 'tools', 'bin']) mkdirSync(join(root, folder));
  for (const file of ['.ci/run', 'tools/launch.cjs', 'tools/ci-summary.ts']) copyFileSync(join(PROJECT, file), join(root, file));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  for (const name of NEEDED) symlinkSync(pathOf(name), join(root, 'bin', name));
  symlinkSync(process.execPath, join(root, 'bin/node'));
  for (const name of TOOLS) program(name, 'exit 0');
  program('id', 'echo 0');
  program('apt-get', `echo "$@" >> '${root}/installed'`);
});
afterEach(() => {
  rmSync(parent, { recursive: true, force: true });
});

type Outcome = {
  readonly install?: number;
  readonly check?: number;
  readonly specs?: number;
  readonly tests?: number;
  readonly report?: unknown;
};

/** Runs with an npm whose three commands end with the given codes and whose test run writes the given report. */
function ci({ install = 0, check = 0, specs = 0, tests = 0, report }: Outcome): {
  status: number | null;
  last: string | undefined;
  all: string;
} {
  if (report !== undefined) writeFileSync(join(root, 'planned.json'), JSON.stringify(report));
  program(
    'npm',
    `case "$1 $2" in
       "ci ") exit ${install};;
       "run check") exit ${check};;
       "run check:specs") echo "compared in $4"; exit ${specs};;
       "test --")
         for arg in "$@"; do
           case "$arg" in --outputFile.json=*) [ -f '${root}/planned.json' ] && cat '${root}/planned.json' > "\${arg#*=}";; esac
         done
         exit ${tests};;
       *) echo "unexpected: $*"; exit 99;;
     esac`,
  );
  const run = spawnSync(join(root, '.ci/run'), { cwd: tmpdir(), encoding: 'utf8', env: { PATH: join(root, 'bin'), TMPDIR: root } });
  return { status: run.status, last: run.stdout.trimEnd().split('\n').at(-1), all: run.stdout + run.stderr };
}

function fileOf(status: string, ...tests: string[]): unknown {
  return { name: 'some.test.ts', status, assertionResults: tests.map((each) => ({ status: each, fullName: `a test that ${each}` })) };
}

const GOOD = { testResults: [fileOf('passed', 'passed', 'passed'), fileOf('passed', 'passed')] };

describe('the last line and the exit code', () => {
  test('everything passed', () => {
    const { status, last, all } = ci({ report: GOOD });
    expect({ status, last }).toEqual({ status: 0, last: '3 passed, 0 failed' });
    expect(all.match(/\d+ passed, \d+ failed/g)).toHaveLength(1);
    for (const phase of ['system packages', 'npm ci', 'npm run check', 'npm test', 'all']) {
      expect(all).toMatch(new RegExp(`^-- ${phase}: \\d+ s$`, 'm'));
    }
  });

  test('a failed test counts', () => {
    const { status, last } = ci({ tests: 1, report: { testResults: [fileOf('failed', 'passed', 'failed')] } });
    expect({ status, last }).toEqual({ status: 1, last: '1 passed, 1 failed' });
  });

  test.each(['skipped', 'pending', 'todo', 'disabled'])('a test that is %s counts as failed and is named', (how) => {
    const { status, last, all } = ci({ report: { testResults: [fileOf('passed', 'passed', how)] } });
    expect({ status, last }).toEqual({ status: 1, last: '1 passed, 1 failed' });
    expect(all).toContain(`a test that ${how}`);
  });

  test('a file that could not be loaded counts as a failure', () => {
    const { status, last } = ci({ tests: 1, report: { testResults: [fileOf('passed', 'passed'), fileOf('failed')] } });
    expect({ status, last }).toEqual({ status: 1, last: '1 passed, 1 failed' });
  });

  test('a file whose hook failed after its tests passed counts as a failure', () => {
    const { last } = ci({ tests: 1, report: { testResults: [fileOf('failed', 'passed')] } });
    expect(last).toBe('1 passed, 1 failed');
  });

  test('a runner that fails with every test passed counts as a failure', () => {
    const { status, last } = ci({ tests: 1, report: GOOD });
    expect({ status, last }).toEqual({ status: 1, last: '3 passed, 1 failed' });
  });

  test('a runner that leaves no report counts as a failure', () => {
    expect(ci({ tests: 137 })).toMatchObject({ status: 1, last: '0 passed, 1 failed' });
    expect(ci({ tests: 0 })).toMatchObject({ status: 1, last: '0 passed, 1 failed' });
  });

  test('a failed check counts as one failure, and the tests run all the same', () => {
    const { status, last } = ci({ check: 1, report: GOOD });
    expect({ status, last }).toEqual({ status: 1, last: '3 passed, 1 failed' });
  });

  test('published documents beside the project are compared, and a failure of that counts', () => {
    expect(ci({ report: GOOD }).all).not.toContain('check:specs');
    mkdirSync(join(parent, 'shared/specs/cycles'), { recursive: true });
    const { status, last, all } = ci({ report: GOOD });
    expect({ status, last }).toEqual({ status: 0, last: '3 passed, 0 failed' });
    expect(all).toContain('compared in ../shared/specs/cycles');
    expect(all).toMatch(/^-- npm run check:specs: \d+ s$/m);
    expect(ci({ specs: 1, report: GOOD })).toMatchObject({ status: 1, last: '3 passed, 1 failed' });
  });

  test('a failed installation ends the run', () => {
    const { status, last, all } = ci({ install: 1, report: GOOD });
    expect({ status, last }).toEqual({ status: 1, last: '0 passed, 1 failed' });
    expect(all).toContain('broke off in: npm ci');
  });
});

describe('system packages', () => {
  test('what is there is not installed', () => {
    ci({ report: GOOD });
    expect(installed()).not.toMatch(/git|iproute2|procps|util-linux|mount/);
  });

  test('what is missing is installed, after one update', () => {
    rmSync(join(root, 'bin/git'));
    expect(ci({ report: GOOD }).status).toBe(0);
    expect(installed()).toMatch(/^update -qq\ninstall -y .*\bgit\b.*\n$/);
  });

  test('with sudo, where the user is not root', () => {
    rmSync(join(root, 'bin/git'));
    program('id', 'echo 1000');
    program('sudo', `echo sudo >> '${root}/installed'; shift; exec "$@"`);
    expect(ci({ report: GOOD }).status).toBe(0);
    expect(installed()).toMatch(/^sudo\nupdate -qq\nsudo\ninstall -y .*\bgit\b.*\n$/);
  });

  test('an installation that fails ends the run', () => {
    rmSync(join(root, 'bin/git'));
    program('apt-get', 'exit 100');
    expect(ci({ report: GOOD })).toMatchObject({ status: 1, last: '0 passed, 1 failed' });
  });
});

function program(name: string, body: string): void {
  const file = join(root, 'bin', name);
  rmSync(file, { force: true });
  writeFileSync(file, `#!${pathOf('bash')}\n${body}\n`);
  chmodSync(file, 0o755);
}

function installed(): string {
  const file = join(root, 'installed');
  return existsSync(file) ? readFileSync(file, 'utf8') : '';
}

function pathOf(name: string): string {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const folder = folders.find((each) => existsSync(join(each, name)));
  if (folder === undefined) throw new Error(`${name} is not on the PATH`);
  return join(folder, name);
}

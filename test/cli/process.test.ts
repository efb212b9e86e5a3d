import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { runCliProcess, startCli } from '../support/cli-process.ts';
import { waitUntil } from '../support/wait-until.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const ANY_PORT = { CASTELLAN_RUNTIME_PORT: '0', CASTELLAN_ADMIN_PORT: '0' };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'castellan-cli-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('start serves until it is told to stop, in the folder that --data-dir names', { timeout: 60_000 }, async () => {
  const { child, ended } = startCli(['--data-dir', 'here', 'start'], { cwd: folder, env: ANY_PORT });
  let stdout = '';
  child.stdout?.on('data', (text: string) => (stdout += text));
  await waitUntil(() => Promise.resolve(stdout.includes('Castellan is up.')), 30_000);
  const [, admin = ''] = /control plane +(\S+)/.exec(stdout) ?? [];
  const list = await runCliProcess(['--data-dir', 'here', '--url', admin, 'tenants', 'list'], { cwd: folder });
  expect([list.code, list.stdout]).toEqual([0, expect.stringMatching(/^default /m) as string]);
  // Nothing colours what no person reads.
  expect(list.stdout).not.toContain('\u001b');
  const doctor = await runCliProcess(['--data-dir', 'here', 'doctor'], { cwd: folder, env: ANY_PORT });
  expect(doctor.code).toBe(0);
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0, signal: null });
  expect(existsSync(join(folder, 'here', 'castellan.db'))).toBe(true);
});

test('start with a wrong configuration ends with 78 and one sentence, as the server does', async () => {
  const run = await runCliProcess(['start'], { cwd: folder, env: { CASTELLAN_ADMIN_PORT: 'x' } });
  expect(run.code).toBe(78);
  expect(run.stderr).toMatch(/^CASTELLAN_ADMIN_PORT is "x", which is no port: [^\n]+\n$/);
});

test('a reader that has seen enough is no failure', () => {
  const command = `"${process.execPath}" "${join(ROOT, 'tools/castellan.cjs')}" completion fish | head -n 1`;
  const run = spawnSync('bash', ['-c', `set -o pipefail; ${command}`], { encoding: 'utf8', cwd: folder });
  expect([run.status, run.stderr]).toEqual([0, '']);
});

test('npx castellan runs the command of the checkout, from its folders too, without asking anybody', { timeout: 60_000 }, async () => {
  // What a fresh clone has after npm ci, without the time that takes.
  const checkout = join(folder, 'checkout');
  mkdirSync(checkout);
  for (const name of ['package.json', 'package-lock.json', 'src', 'tools', '.npmrc'])
    cpSync(join(ROOT, name), join(checkout, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(checkout, 'node_modules'));
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: join(folder, 'home'),
    // Nothing is to be had there: a command of this name from elsewhere would be somebody else's.
    npm_config_registry: 'http://127.0.0.1:9',
    npm_config_yes: 'false',
    npm_config_update_notifier: 'false',
  };
  mkdirSync(env.HOME);
  const { version } = JSON.parse(execFileSync('cat', [join(ROOT, 'package.json')], { encoding: 'utf8' })) as { version: string };
  for (const cwd of [checkout, join(checkout, 'src')]) {
    const child = spawn('npx', ['castellan', '--version'], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, stdout, failed: code === 0 ? '' : stderr }).toEqual({ code: 0, stdout: `${version}\n`, failed: '' });
  }
});

test('restart signals nobody where no server holds the folder, whatever number its file names', async () => {
  const bystander = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)'], { stdio: 'ignore' });
  try {
    const dataDir = join(folder, 'data');
    mkdirSync(dataDir);
    for (const runJson of [null, JSON.stringify({ owner_id: 'run_1', host: hostname(), pid: bystander.pid })]) {
      if (runJson !== null) {
        writeFileSync(join(dataDir, 'run.json'), runJson);
        writeFileSync(join(dataDir, 'run.lock'), '');
      }
      const run = await runCliProcess(['--data-dir', dataDir, 'restart']);
      expect([run.code, run.stderr]).toEqual([4, expect.stringContaining('no server of this machine runs on') as string]);
    }
    expect([bystander.exitCode, bystander.signalCode]).toEqual([null, null]);
  } finally {
    bystander.kill('SIGKILL');
  }
});

test('restart takes a limit in whole seconds only', async () => {
  const run = await runCliProcess(['restart', '--timeout', '1.5']);
  expect([run.code, run.stderr]).toEqual([2, expect.stringContaining('whole number of seconds') as string]);
});

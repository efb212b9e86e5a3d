import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * Runs every script of package.json whose name starts with `check:`, in the order they stand there.
 *
 * Prints one line for each with its time, the output of the first that fails, and stops there.
 */
const root = join(import.meta.dirname, '..');
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> };
const names = Object.keys(scripts).filter((name) => name.startsWith('check:'));
const env = { ...process.env, PATH: [join(root, 'node_modules', '.bin'), process.env['PATH'] ?? ''].join(delimiter) };

for (const name of names) {
  const startedAtMs = performance.now();
  const run = spawnSync(scripts[name] ?? '', { cwd: root, env, shell: true, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024 });
  const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
  const passed = run.status === 0;
  console.log(`${passed ? 'ok  ' : 'FAIL'} ${name.padEnd(14)} ${seconds.padStart(6)} s`);
  if (!passed) {
    console.log(`\n${run.stdout}${run.stderr}`);
    console.log(`${name} failed; run it alone with: npm run ${name}`);
    process.exitCode = 1;
    break;
  }
}

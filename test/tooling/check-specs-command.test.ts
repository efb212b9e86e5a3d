import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DECLARED } from '../../tools/specs/declared.ts';

/** The project in a folder of its own, so that nothing lies beside it but what a test puts there. */
const PROJECT = join(import.meta.dirname, '../..');

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'castellan-specs-'));
  mkdirSync(join(root, 'project'));
  for (const folder of ['tools', 'src', 'node_modules']) symlinkSync(join(PROJECT, folder), join(root, 'project', folder));
});
afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

function run(...args: string[]): { readonly status: number | null; readonly lines: readonly string[] } {
  const file = join(root, 'project/tools/check-specs.ts');
  const env = { PATH: process.env['PATH'] ?? '' };
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--preserve-symlinks', '--preserve-symlinks-main', file, ...args], {
    env,
    encoding: 'utf8',
  });
  return { status, lines: `${stdout}${stderr}`.trimEnd().split('\n') };
}

test('where the documents are absent it says so and passes', () => {
  const { status, lines } = run();
  expect(lines).toEqual([`the published Cycles documents are not in ${join(root, 'shared/specs/cycles')}: nothing is compared`]);
  expect(status).toBe(0);
});

test('where a folder is named, its documents must be there', () => {
  expect(run(join(root, 'elsewhere'))).toMatchObject({ status: 1 });
  mkdirSync(join(root, 'elsewhere'));
  const { status, lines } = run(join(root, 'elsewhere'));
  expect(status).not.toBe(0);
  expect(lines.join('\n')).toContain('cycles-protocol-v0.yaml');
});

test('documents beside the project are compared, and an undeclared difference or a stale entry fails', () => {
  const folder = join(root, 'shared/specs/cycles');
  mkdirSync(folder, { recursive: true });
  const document = 'openapi: 3.1.0\npaths:\n  /v1/dragons:\n    get: { operationId: listDragons, responses: {} }\n';
  for (const name of ['cycles-protocol-v0.yaml', 'cycles-governance-admin-v0.1.25.yaml']) writeFileSync(join(folder, name), document);
  const { status, lines } = run();
  expect(status).toBe(1);
  expect(lines).toContain('not declared: runtime GET /v1/dragons: is only there');
  expect(lines).toContain('not declared: governance POST /v1/admin/tenants: is only here');
  expect(lines).toContain(`declared, but no longer so: ${DECLARED[0]?.differences[0]}`);
  expect(lines.at(-1)).toMatch(/^0 operations, \d+ schemas compared, \d+ declared differences, \d+ faults$/);
});

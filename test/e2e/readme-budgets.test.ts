import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type TestServer } from '../support/server-process.ts';

const run = promisify(execFile);

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

/** The blocks of shell commands of a section, by its heading. */
const blocksOf = (heading: string): string[] => {
  const [, section = ''] = README.split(`\n## ${heading}\n`);
  const [text = ''] = section.split('\n## ');
  return Array.from(text.matchAll(/^```sh\n([^]*?)^```$/gm), ([, block = '']) => block);
};

let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'castellan-readme-'));
  server = await startServer({ store: { kind: 'sqlite' }, env: { ADMIN_API_KEY: 'admin-bootstrap-key' } });
});

afterAll(async () => {
  await server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

test('the section on budgets for agents works from top to bottom as it stands, in a shell', async () => {
  const [start, ...blocks] = blocksOf('Budgets for agents: the Cycles surfaces');
  expect(start).toBe('npm ci && ADMIN_API_KEY=admin-bootstrap-key npm start\n');
  expect(blocks).toHaveLength(2);
  // The server of this test has ports of its own. What one command answers ends where the next begins.
  const script = blocks
    .join('\n')
    .replaceAll('http://localhost:7979', server.admin)
    .replaceAll('http://localhost:7878', server.runtime)
    .replaceAll('\n\n', '\necho\n');
  const { stdout } = await run('/bin/sh', ['-e', '-c', script], { cwd: folder });
  const answers = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(answers).toMatchObject([
    { tenant_id: 'acme-corp', status: 'ACTIVE' },
    { key_id: expect.any(String) as string, key_secret: expect.stringMatching(/^cyc_live_/) as string },
    { scope: 'tenant:acme-corp', allocated: { amount: 100_000_000 } },
    { new_allocated: { amount: 150_000_000 } },
    { decision: 'ALLOW', reserved: { amount: 2_000_000 } },
    { status: 'COMMITTED', charged: { amount: 1_500_000 } },
    { balances: [{ scope_path: 'tenant:acme-corp', remaining: { amount: 148_500_000 }, reserved: { amount: 0 } }] },
  ]);
});

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
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

test('the section on prepaid balance works as it stands: its coin admits six calls, the seventh is refused', async () => {
  const blocks = blocksOf('Prepaid balance, in any currency');
  expect(blocks).toHaveLength(2);
  const [, keyFunction = ''] = /^```sh\n(key\(\) .*)$/m.exec(README) ?? [];
  symlinkSync(server.dataDir, join(folder, 'data'));
  const shell = async (script: string): Promise<Record<string, unknown>[]> => {
    const here = script.replaceAll('http://127.0.0.1:7979', server.admin).replaceAll('http://127.0.0.1:7878', server.runtime);
    const { stdout } = await run('/bin/sh', ['-e', '-c', `${keyFunction}\n${here}`], { cwd: folder });
    return Array.from(
      stdout
        .replaceAll('}{', '}\n{')
        .split('\n')
        .filter((line) => line !== ''),
      (line) => JSON.parse(line) as Record<string, unknown>,
    );
  };
  const [setUp = '', use = ''] = blocks;
  expect(await shell(setUp)).toMatchObject([{ per_usd: 0.92 }, { require_balance: true }, { amount: 0.0001, balance: 0.0001 }]);
  const [makeKey = '', call = '', ...rest] = use.split(/\n(?=curl|operate)/);
  const [made] = await shell(makeKey);
  const calls = call.replace('tk_...', String(made?.['key']));
  const answers = await shell(Array.from({ length: 7 }, () => calls).join('\n'));
  expect(answers.map(({ object }) => object)).toEqual([...Array.from({ length: 6 }, () => 'chat.completion'), undefined]);
  expect(answers.at(-1)).toMatchObject({ error: { code: 'balance_empty', account: { unit: 'EUR_MICROCENTS', limit: 10_000 } } });
  const [operate = ''] = setUp.split('\n');
  expect(await shell([operate, ...rest].join('\n'))).toMatchObject([
    { credited: 0.0001, held: 0 },
    { credits: [{ reason: 'a small coin' }] },
    { require_balance: false },
  ]);
});

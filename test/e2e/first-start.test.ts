import { execFile } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readAccounts } from '../support/store-reader.ts';
import { startServer, type TestServer } from '../support/server-process.ts';

const run = promisify(execFile);

let server: TestServer;

beforeAll(async () => {
  server = await startServer({ store: { kind: 'sqlite' } });
});

afterAll(() => server.dispose());

/** The commands that a start printed, as they stand there. */
const printedCommands = (): string[] => server.stdout().match(/^curl [^]*?'$(?=\n\n|\n*(?![^]))/gm) ?? [];

/** Runs a command line in a shell, as a reader of the terminal would, and tells the status beside the answer. */
async function paste(
  command: string,
): Promise<{ status: number; body: { error?: { code?: string }; usage?: object; choices?: unknown[] } }> {
  const { stdout } = await run('/bin/sh', ['-c', `${command} -w '\\n%{http_code}'`]);
  const lines = stdout.trimEnd().split('\n');
  return { status: Number(lines.pop()), body: JSON.parse(lines.join('\n')) as Awaited<ReturnType<typeof paste>>['body'] };
}

test('the two printed calls work as printed: the first answers, the second is refused because the money is used up', async () => {
  const commands = printedCommands();
  expect(commands).toHaveLength(2);
  const [first = '', second = ''] = commands;
  expect(second).toBe(first);
  const answered = await paste(first);
  expect(answered.status).toBe(200);
  expect(answered.body.choices).toHaveLength(1);
  expect(answered.body.usage).toBeDefined();
  const refused = await paste(second);
  expect(refused.status).toBe(402);
  expect(refused.body.error?.code).toBe('budget_exceeded');
});

test('the credentials are in a file that only its owner may read', () => {
  expect(statSync(join(server.dataDir, 'credentials.json')).mode & 0o777).toBe(0o600);
  expect(Object.keys(server.credentials())).toEqual(['operator_key', 'tenant', 'admin_key', 'management_key', 'demo_key']);
});

test('after the one call nothing is held, and a later start does not print the call again', async () => {
  expect((await readAccounts(server.reader())).every(({ reserved }) => reserved === 0n)).toBe(true);
  expect((await server.stop()).code).toBe(0);
  const printed = server.stdout().length;
  await server.start();
  expect(server.stdout().slice(printed)).toContain('Castellan is up.');
  expect(server.stdout().slice(printed)).not.toContain('curl');
});

test('a second process on the same data folder is refused with one sentence, and the first goes on', async () => {
  const second = await secondProcess(server.dataDir);
  expect(second.code).not.toBe(0);
  expect(
    second.stderr
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('{')),
  ).toEqual([expect.stringMatching(/^Another Castellan is running on the data folder .*: .*\.$/)]);
  expect((await fetch(`${server.runtime}/health`)).status).toBe(200);
});

async function secondProcess(dataDir: string): Promise<{ code: number; stderr: string }> {
  const env = { PATH: process.env['PATH'] ?? '', CASTELLAN_DATA_DIR: dataDir, CASTELLAN_RUNTIME_PORT: '0', CASTELLAN_ADMIN_PORT: '0' };
  const main = join(import.meta.dirname, '../../src/server/main.ts');
  try {
    const { stderr } = await run(process.execPath, [main], { env, timeout: 20_000 });
    return { code: 0, stderr };
  } catch (error) {
    const { code, stderr } = error as { code: number; stderr: string };
    return { code, stderr };
  }
}

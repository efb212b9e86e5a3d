import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer, type TestServer } from '../support/server-process.ts';

const run = promisify(execFile);

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

/** The blocks in `language` of a section, by its heading. */
function blocksOf(heading: string, language: 'sh' | 'yaml'): string[] {
  const [, section = ''] = README.split(`\n## ${heading}\n`);
  const [text = ''] = section.split('\n## ');
  return Array.from(text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm')), ([, block = '']) => block);
}

let server: TestServer;
let folder: string;

beforeAll(async () => {
  const [config = ''] = blocksOf('Where a call goes', 'yaml');
  folder = mkdtempSync(join(tmpdir(), 'castellan-readme-'));
  server = await startServer({ store: { kind: 'sqlite' }, config });
  symlinkSync(server.dataDir, join(folder, 'data'));
});

afterAll(async () => {
  await server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** What the commands answer, one JSON text after another. */
async function shell(script: string): Promise<Record<string, unknown>[]> {
  const [, keyFunction = ''] = /^```sh\n(key\(\) .*)$/m.exec(README) ?? [];
  const here = script.replaceAll('http://127.0.0.1:7979', server.admin).replaceAll('http://127.0.0.1:7878', server.runtime);
  const { stdout } = await run('/bin/sh', ['-e', '-c', `${keyFunction}\n${here}`], { cwd: folder });
  return Array.from(
    stdout
      .replaceAll('}{', '}\n{')
      .split('\n')
      .filter((line) => line !== ''),
    (line) => JSON.parse(line) as Record<string, unknown>,
  );
}

test('a project of the EU and the cheapest, the trace, a daily budget that is used up, its reset and the bill: as the README has it', async () => {
  const [route = ''] = blocksOf('Where a call goes', 'sh');
  const [set, routed] = await shell(route);
  expect(set).toEqual({ success: true });
  expect(routed).toMatchObject({
    metadata: {
      routing_results: { selected_upstream: 'next' },
      routing_trace: { filtered_out_candidates: [{ upstream: 'far', filter_failed: 'eu_native' }] },
    },
  });

  const [spend = '', after = ''] = blocksOf('Budgets of a day, a week or a month', 'sh');
  const [budget, first, second, refused, listed] = await shell(spend);
  expect(budget).toMatchObject({ id: 'project:daily', windows: [{ spent_usd: 0.0000024 }] });
  for (const answer of [first, second]) expect(answer).toMatchObject({ object: 'chat.completion' });
  const midnight = expect.stringMatching(/T00:00:00(\.000)?Z$/) as string;
  expect(refused).toMatchObject({ error: { code: 'window_exceeded', account: { kind: 'window', limit: 7500, resets_at: midnight } } });
  expect(listed).toMatchObject({
    budgets: [{ limit_usd: 0.000075, windows: [{ spent_usd: 0.0000072, held_usd: 0, resets_at: midnight }] }],
  });

  const [manage = ''] = spend.split('\n');
  const [bill, reset, deleted] = await shell(`${manage}\n${after}`);
  expect(bill).toMatchObject({ total_usd: 0.0000072, lines: [{ model: 'echo', requests: 3 }] });
  expect(reset).toMatchObject({ id: 'project:daily', spent_usd: 0.0000072 });
  expect(deleted).toEqual({ success: true, deleted: 'project:daily' });
});

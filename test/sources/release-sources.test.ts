import { createServer } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { SourceFault } from '../../src/ports/release-source.ts';
import { makeReleaseSources } from '../../src/server/compose-sources.ts';
import { makeManualClock } from '../support/fakes.ts';

const folder = mkdtempSync(join(tmpdir(), 'castellan-sources-test-'));
const asked: string[] = [];
const github = createServer((req, res) => {
  asked.push(req.url ?? '');
  res.writeHead(404, { 'content-type': 'application/json' }).end('{"message":"Not Found"}');
});
const clock = makeManualClock(0);

beforeAll(() => new Promise<void>((resolve) => github.listen(0, '127.0.0.1', resolve)));
afterAll(() => {
  github.close();
  rmSync(folder, { recursive: true, force: true });
});

const git = [{ owner: 'Acme', baseUrl: `file://${folder}` }];
const baseUrl = (): string => `http://127.0.0.1:${(github.address() as AddressInfo).port}`;

test('an owner that is mapped is looked for there alone, however it is written; all others on GitHub', async () => {
  const sources = makeReleaseSources({ git, github: { baseUrl: baseUrl(), token: null, app: null, needsAssets: false } }, clock);
  for (const owner of ['acme', 'ACME']) {
    const outcome = await sources.readConfig({ tenantId: 'acme', repo: `${owner}/none`, tag: 'v1' });
    expect(outcome).toEqual({ ok: false, why: 'no_repo', message: `there is no repository ${owner}/none` });
  }
  expect(asked).toEqual([]);
  expect(await sources.readConfig({ tenantId: 'acme', repo: 'acme-2/none', tag: 'v1' })).toMatchObject({ why: 'no_repo' });
  expect(asked).toEqual(['/repos/acme-2/none/releases/tags/v1', '/repos/acme-2/none']);
});

test('an owner that is nowhere is told so', async () => {
  const sources = makeReleaseSources({ git, github: null }, clock);
  const fault: unknown = await sources.readConfig({ tenantId: 'acme', repo: 'other/app', tag: 'v1' }).catch((err: unknown) => err);
  expect(fault).toBeInstanceOf(SourceFault);
  expect(fault).toMatchObject({ code: 'upstream_failed', publicMessage: 'no source is declared for other' });
});

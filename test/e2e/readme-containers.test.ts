import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startContainerParts, type ContainerParts } from '../support/container-stage.ts';
import { startServer, type TestServer } from '../support/server-process.ts';

const run = promisify(execFile);
const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');
const AUTHOR = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@example.com', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@example.com' };

const SHELL = 'A shell in a debug container';

/** The blocks in `language` of a section. */
function blocksOf(language: 'sh' | 'yaml', title = 'Containers'): string[] {
  const [, section = ''] = README.split(`\n## ${title}\n`);
  const [text = ''] = section.split('\n## ');
  return Array.from(text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm')), ([, block = '']) => block);
}

let parts: ContainerParts;
let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'castellan-readme-'));
  parts = await startContainerParts();
  const yaml = [...blocksOf('yaml'), ...blocksOf('yaml', SHELL)].join('');
  const config = yaml
    .replace(
      'docker: "unix:///var/run/docker.sock"',
      `docker: "${parts.engine.docker}", address: ${parts.engine.address}, firewall: { via: ${JSON.stringify(parts.engine.via)} }`,
    )
    .replaceAll('/tmp/castellan-repos', join(folder, 'repos'));
  server = await startServer({ store: { kind: 'sqlite' }, config: `${config}registries: { ghcr: "${parts.registry.host}" }\n` });
  symlinkSync(server.dataDir, join(folder, 'data'));
}, 60_000);

afterAll(async () => {
  await server.dispose();
  await parts.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** Runs blocks as they stand, with the ports and the folder of the test; `before` comes first. */
async function runBlocks(blocks: readonly string[], before: string): Promise<string[]> {
  const [, keyFunction = ''] = /^```sh\n(key\(\) .*)$/m.exec(README) ?? [];
  const [, sshPort = ''] = /ssh:\/\/127\.0\.0\.1:(\d+)/.exec(server.stdout()) ?? [];
  const script = blocks
    .join('\n')
    .replaceAll('/tmp/castellan-repos', join(folder, 'repos'))
    .replaceAll('http://127.0.0.1:7979', server.admin)
    .replaceAll('-p 7822', `-p ${sshPort}`)
    .replaceAll(
      'http://hello.default.containers.localhost:8080',
      `http://hello.default.containers.localhost:${new URL(server.ingress).port}`,
    )
    .replaceAll('sleep 1', 'sleep 0.1');
  const { stdout } = await run('/bin/sh', ['-e', '-c', `${before}\n${keyFunction}\n${script}`], {
    cwd: folder,
    env: { ...process.env, ...AUTHOR },
    timeout: 30_000,
  });
  return stdout.trim().split('\n');
}

test('from a repository to a page under its own name, to another one in its place, to nothing: as the README has it', async () => {
  const [pull = '', ...commands] = blocksOf('sh');
  // The image is of Docker Hub there, and of the test's own registry here.
  expect(pull).toContain('docker pull');
  const image = await parts.page('not this one');
  expect(await runBlocks(commands, `image='${image}'`)).toEqual(['Hello', 'Hello again']);
}, 60_000);

test('from a debug container to a command in it: as the README has it', async () => {
  expect(await runBlocks(blocksOf('sh', SHELL), '')).toEqual(['Hello', 'Hello from a file']);
}, 60_000);

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

/** The blocks in `language` of the section. */
function blocksOf(language: 'sh' | 'yaml'): string[] {
  const [, section = ''] = README.split('\n## Containers\n');
  const [text = ''] = section.split('\n## ');
  return Array.from(text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm')), ([, block = '']) => block);
}

let parts: ContainerParts;
let server: TestServer;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'castellan-readme-'));
  parts = await startContainerParts();
  const [yaml = ''] = blocksOf('yaml');
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

test('from a repository to a page under its own name, to another one in its place, to nothing: as the README has it', async () => {
  const [pull = '', ...commands] = blocksOf('sh');
  // The image is of Docker Hub there, and of the test's own registry here.
  expect(pull).toContain('docker pull');
  const image = await parts.page('not this one');
  const [, keyFunction = ''] = /^```sh\n(key\(\) .*)$/m.exec(README) ?? [];
  const script = commands
    .join('\n')
    .replaceAll('/tmp/castellan-repos', join(folder, 'repos'))
    .replaceAll('http://127.0.0.1:7979', server.admin)
    .replaceAll(
      'http://hello.default.containers.localhost:8080',
      `http://hello.default.containers.localhost:${new URL(server.ingress).port}`,
    )
    .replaceAll('sleep 1', 'sleep 0.1');
  const env = { ...process.env, ...AUTHOR };
  const { stdout } = await run('/bin/sh', ['-e', '-c', `image='${image}'\n${keyFunction}\n${script}`], {
    cwd: folder,
    env,
    timeout: 30_000,
  });
  expect(stdout.trim().split('\n')).toEqual(['Hello', 'Hello again']);
}, 60_000);

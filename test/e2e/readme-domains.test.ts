import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { freePort } from '../support/caddy.ts';
import { pageConfig, startContainerParts, type ContainerParts } from '../support/container-stage.ts';
import { startTestDns, type TestDns } from '../support/dns-server.ts';
import { startServer, type TestServer } from '../support/server-process.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

/** The blocks in `language` of the section. */
function blocksOf(language: 'sh' | 'yaml'): string[] {
  const [, section = ''] = README.split('\n## A domain with TLS\n');
  const [text = ''] = section.split('\n## ');
  return Array.from(text.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'gm')), ([, block = '']) => block);
}

let parts: ContainerParts;
let server: TestServer;
let dns: TestDns;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'castellan-readme-'));
  dns = await startTestDns();
  parts = await startContainerParts();
  const [yaml = ''] = blocksOf('yaml');
  const config = `${parts.config.replace('owner: acme', 'owner: me')}${yaml.replace('127.0.0.1:5353', dns.server)}`;
  server = await startServer({ store: { kind: 'sqlite' }, config });
  symlinkSync(server.dataDir, join(folder, 'data'));
}, 60_000);

afterAll(async () => {
  await server.dispose();
  await parts.stop();
  await dns.stop();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

test('from a domain to its page by TLS, as the README has it', async () => {
  parts.release('hello', 'v1', pageConfig(await parts.page('Hello')));
  const [add = '', nameServer = '', ...rest] = blocksOf('sh');
  // The name server is the test's own.
  expect(nameServer).toContain('dnsmasq');
  const [, keyFunction = ''] = /^```sh\n(key\(\) .*)$/m.exec(README) ?? [];
  const env = {
    ...process.env,
    HOME: folder,
    XDG_DATA_HOME: '',
    XDG_CONFIG_HOME: '',
    CASTELLAN_ASK: `${server.admin}/internal/ask`,
    CASTELLAN_INGRESS: new URL(server.ingress).host,
  };
  const https = String(await freePort());
  const http = String(await freePort());
  const sh = async (script: string): Promise<string> => {
    const text = script
      .replaceAll('http://127.0.0.1:7979', server.admin)
      .replaceAll('8443', https)
      .replaceAll('8081', http)
      .replaceAll('deploy/Caddyfile', join(ROOT, 'deploy/Caddyfile'))
      .replaceAll('sleep 1', 'sleep 0.1');
    // What runs beside the script goes with it.
    const whole = `trap 'kill -9 $! 2>/dev/null || true' EXIT\n${keyFunction}\n${text}`;
    return (await run('/bin/sh', ['-e', '-c', whole], { cwd: folder, env, timeout: 50_000 })).stdout;
  };
  await sh(add);
  const { txt_record_host: host, txt_record_value: value } = JSON.parse(readFileSync(join(folder, 'domain.json'), 'utf8')) as Record<
    string,
    string
  >;
  dns.texts.set(host ?? '', [value ?? '']);
  const [api = ''] = add.split('\n');
  expect((await sh([api, ...rest].join('\n'))).trim().split('\n')).toEqual(['"verified":true', 'Hello']);
}, 60_000);

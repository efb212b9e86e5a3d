import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { makeControlPlane } from '../support/control-plane.ts';
import { makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { readState } from '../support/store-reader.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const README = readFileSync(join(ROOT, 'README.md'), 'utf8');
const [, SECTION = ''] = README.split('\n## Sealed calls: nobody in between reads a prompt\n');

/** The first block of a language in the section. */
const blockOf = (language: string): string =>
  new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, 'm').exec(SECTION.split('\n## ')[0] ?? '')?.[1] ?? '';

let folder: string;
let pages: ChildProcess;
let origin: string;
let enclave: TestServer;
let server: TestServer;
let client: HttpClient;
let browser: Browser;

beforeAll(async () => {
  client = makeHttpClient();
  folder = mkdtempSync(join(tmpdir(), 'castellan-pages-'));
  for (const name of ['ehbp', 'hpke', '@panva', '@noble'])
    cpSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name), { recursive: true });
  writeFileSync(join(folder, 'chat.html'), blockOf('html'));
  pages = spawn(process.execPath, [join(ROOT, 'examples/serve.mjs'), '0'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(pages.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  origin = line.toString().trim().replace(/\/$/, '');
  const cors = blockOf('yaml').replace('http://127.0.0.1:8000', origin);
  enclave = await startServer({ store: { kind: 'sqlite' }, config: cors });
  const { key } = await makeControlPlane(enclave, client).makeKey(makeControlPlane(enclave, client).firstTenant(), { name: 'relay' });
  const relayed = `
upstreams: [{ id: enclave, api_key: "${key}", sealed: { enclave_urls: ["${enclave.runtime}"], max_output_tokens: 1024 } }]
models: [{ id: far-echo, upstreams: [{ id: enclave, model: demo-echo }], price: { input_per_1m: 1, output_per_1m: 2 } }]
`;
  server = await startServer({ store: { kind: 'sqlite' }, config: cors + relayed });
  browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'],
  });
});

afterAll(async () => {
  await browser.close();
  pages.kill();
  await server.dispose();
  await enclave.dispose();
  await client.close();
  rmSync(folder, { recursive: true, force: true });
});

test.each(['the server itself', 'an enclave behind it'])('the page of the README chats with %s, sealed, in Chromium', async (end) => {
  const { key, id } = await makeControlPlane(server, client).makeKey(makeControlPlane(server, client).firstTenant(), { name: end });
  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())));
  page.on('pageerror', (error) => void complaints.push(error.message));
  const sent: string[] = [];
  page.on('request', (request) => void (request.method() === 'POST' && sent.push(request.postDataBuffer()?.toString('latin1') ?? '')));
  await page.goto(`${origin}/chat.html`);
  await page.fill('[name=server]', server.runtime);
  await page.fill('[name=key]', key);
  if (end !== 'the server itself') {
    await page.fill('[name=enclave]', enclave.runtime);
  }
  for (const message of ['who keeps the treasury', 'and who counts it']) {
    await page.fill('[name=message]', message);
    await page.click('button');
    const state = page.locator('#state');
    await state.filter({ hasText: /done|failed/ }).waitFor();
    expect([await state.textContent(), complaints]).toEqual(['done', []]);
    expect(await page.textContent('#log p:last-child')).toContain(message);
    await state.evaluate((element: { textContent: string }) => void (element.textContent = ''));
  }
  expect(sent).toHaveLength(2);
  expect(sent.join('')).not.toContain('treasury');
  const { usage } = await readState(server.reader());
  expect(usage.filter(({ keyId }) => keyId === id)).toMatchObject([{ estimated: false }, { estimated: false }]);
  await page.close();
});

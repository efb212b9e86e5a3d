import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageConfig, startContainerStage, type ContainerStage, type ShownContainer } from '../support/container-stage.ts';
import {
  publishedHook,
  repositoryOf,
  signedHook,
  startGithubServer,
  type GithubServer,
  type TestRepository,
} from '../support/github-server.ts';
import { sendRaw } from '../support/raw-http.ts';
import { waitUntil } from '../support/wait-until.ts';

const SECRET = 'a-secret-of-the-webhook';
const REPO = 'octo/site';

let github: GithubServer;
let stage: ContainerStage;
let site: TestRepository;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'castellan-app-'));
  github = await startGithubServer();
  writeFileSync(join(folder, 'app.pem'), github.privateKey);
  // Far longer than the test: what happens, happens by webhooks. Nobody but the App sees the repository.
  const app = `id: ${github.appId}, private_key_file: "${folder}/app.pem", webhook_secret: "${SECRET}", poll_ms: 3600000, owners: [{ owner: octo, tenants: [default] }]`;
  stage = await startContainerStage({ sources: `github: { base_url: "${github.url}", app: { ${app} } }` });
  site = repositoryOf({ isPrivate: true });
  github.repositories.set(REPO, site);
  github.repositories.set('other/site', repositoryOf({ releases: [{ tag: 'v1.0.0', config: pageConfig(await stage.page('other')) }] }));
});
afterAll(async () => {
  await stage.stop();
  await github.close();
  rmSync(folder, { recursive: true, force: true });
});

async function release(tag: string, page: string): Promise<void> {
  site.releases.push({ tag, config: pageConfig(await stage.page(page)), publishedAt: new Date().toISOString() });
}

const deliver = async (hook: ReturnType<typeof signedHook>): Promise<readonly [number, unknown]> => {
  const answer = await fetch(`${stage.server.admin}/sources/github/webhook`, { method: 'POST', body: hook.body, headers: hook.headers });
  return [answer.status, await answer.json()];
};
const tell = (tag: string) => deliver(signedHook('release', publishedHook(REPO, tag, new Date().toISOString()), SECRET));

const isServing = (tag: string) => (container: ShownContainer) =>
  container.status === 'ready' && container.current_tag === tag && container.update_status === null;

async function create(name: string, over: object = {}): Promise<ShownContainer> {
  const { status, body } = await stage.api('POST', '/containers', { name, repo: REPO, tag: 'v1.0.0', ...over });
  expect([status, body.error_message]).toEqual([201, null]);
  return stage.until(body.id, isServing('v1.0.0'));
}

test('a published release goes live by itself, is marked as the latest, and never on one that waits to be accepted', async () => {
  await release('v1.0.0', 'one');
  const web = await create('web');
  const waits = await create('waits', { staging: true });
  for (const { id } of [web, waits]) {
    expect(await stage.api('POST', `/containers/${id}/auto-update`, { auto_update: true })).toMatchObject({ status: 409 });
    const connected = await stage.api('POST', `/containers/${id}/github-connection`, { connected: true });
    expect(connected).toMatchObject({ status: 200, body: { github_app_connected: true, auto_update: false } });
    const updating = await stage.api('POST', `/containers/${id}/auto-update`, { auto_update: true });
    expect(updating).toMatchObject({ status: 200, body: { auto_update: true } });
  }
  await release('v1.1.0', 'two');
  expect(await tell('v1.1.0')).toEqual([200, { status: 'taken' }]);
  await stage.until(web.id, isServing('v1.1.0'));
  expect(await stage.visit(web.domain)).toMatchObject({ status: 200, text: 'two' });
  await waitUntil(async () => site.latest === 'v1.1.0', 30_000);
  expect((await stage.api('GET', `/containers/${waits.id}`)).body).toMatchObject({ current_tag: 'v1.0.0', update_tag: null });
  // Somebody takes it back by hand: it stays as that person wants it.
  site.latest = 'v1.0.0';
  expect(await tell('v1.1.0')).toEqual([200, { status: 'taken' }]);
  await waitUntil(async () => github.asked.filter(({ line }) => line.includes('/releases?')).length >= 2, 30_000);
  expect(site.latest).toBe('v1.0.0');
  expect((await stage.api('GET', `/containers/${web.id}`)).body).toMatchObject({ current_tag: 'v1.1.0', update_tag: null });
});

test('who cannot sign, or says it again, moves nothing', async () => {
  const before = github.asked.length;
  const hook = signedHook('release', publishedHook(REPO, 'v9.9.9', new Date().toISOString()), 'a-secret-of-somebody-else');
  expect(await deliver(hook)).toMatchObject([401, { error: 'UNAUTHORIZED' }]);
  const missing = { body: hook.body, headers: { 'content-type': 'application/json' } };
  expect(await deliver(missing)).toMatchObject([401, {}]);
  const head = 'POST /sources/github/webhook HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n';
  expect(await sendRaw(stage.server.admin, [`${head}Content-Length: ${5 * 1024 * 1024 + 1}\r\n\r\n`])).toMatchObject({ status: 413 });
  expect(await deliver(signedHook('release', '{', SECRET))).toMatchObject([400, {}]);
  expect(await deliver(signedHook('ping', { zen: 'x' }, SECRET))).toEqual([200, { status: 'ignored' }]);
  const old = signedHook('release', publishedHook(REPO, 'v1.0.0', '2020-01-01T00:00:00Z'), SECRET);
  expect(await deliver(old)).toEqual([200, { status: 'old' }]);
  expect(github.asked).toHaveLength(before);
});

test('only owners that are given to the organization are connected, and where the App is installed', async () => {
  const { body: other } = await stage.api('POST', '/containers', { name: 'other', repo: 'other/site', tag: 'v1.0.0' });
  expect(await stage.api('POST', `/containers/${other.id}/github-connection`, { connected: true })).toMatchObject({
    status: 403,
    body: { error: expect.stringContaining('other') as unknown, code: 'FORBIDDEN' },
  });
  stage.release('plain', 'v1.0.0', pageConfig(await stage.page('plain')));
  const { body: plain } = await stage.api('POST', '/containers', { name: 'plain', repo: 'acme/plain', tag: 'v1.0.0' });
  expect(await stage.api('POST', `/containers/${plain.id}/github-connection`, { connected: true })).toMatchObject({ status: 409 });
  const [web] = (await stage.api<ShownContainer[]>('GET', '/containers')).body.filter(({ name }) => name === 'web');
  const { installation } = site;
  site.installation = null;
  const hook = { action: 'deleted', installation: { id: 99, account: { login: 'octo' }, updated_at: new Date().toISOString() } };
  expect(await deliver(signedHook('installation', hook, SECRET))).toEqual([200, { status: 'taken' }]);
  const gone = await stage.until(web?.id ?? '', ({ github_app_connected: isConnected }) => isConnected === false);
  expect(gone).toMatchObject({ auto_update: false, current_tag: 'v1.1.0', status: 'ready' });
  const again = await stage.api('POST', `/containers/${gone.id}/github-connection`, { connected: true });
  expect(again).toMatchObject({ status: 404, body: { error: expect.stringContaining('no GitHub App installation for octo') as unknown } });
  site.installation = installation;
});

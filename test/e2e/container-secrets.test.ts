import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageConfig, startContainerStage, type Answer, type ContainerStage, type ShownContainer } from '../support/container-stage.ts';

const [FIRST, SECOND, WRONG] = ['first-value-canary', 'second-value-canary', 'wrong-token-canary'];

let stage: ContainerStage;

beforeAll(async () => {
  stage = await startContainerStage({ isPrivate: true });
}, 60_000);

afterAll(async () => {
  await stage.stop();
}, 60_000);

interface Status {
  readonly ghcr: { readonly has_credentials: boolean; readonly expired: boolean };
}

const ghcr = async (): Promise<Status['ghcr']> => (await stage.api<Status>('GET', '/registry-credentials')).body.ghcr;
const settled = (id: string): Promise<ShownContainer> =>
  stage.until(id, ({ status, update_status: update }) => status !== 'deploying' && (update === null || update === 'failed'));

async function relaunch(id: string, body: object = {}): Promise<ShownContainer> {
  expect(await stage.api('POST', `/containers/${id}/relaunch`, body)).toMatchObject({ status: 200 });
  return settled(id);
}

const shownEnv = async (domain: string): Promise<string> => (await stage.visit(domain, '/cgi-bin/env')).text;
const putToken = (token: string): Promise<Answer> =>
  stage.api('PUT', '/registry-credentials/ghcr', { username: stage.registry.auth?.username, token });

test('a private image is pulled with credentials, and its container is given its secrets, which stand nowhere', async () => {
  const { address } = await stage.registry.push({
    name: 'acme/private',
    command: ['/bin/busybox', 'httpd', '-f', '-p', '80', '-h', '/srv'],
    files: {
      '/srv/index.html': 'page',
      '/srv/cgi-bin/env': '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n$API_KEY|$OTHER\\n"\n',
    },
  });
  stage.release('private', 'v1', pageConfig(address.replace(stage.registry.host, 'ghcr.io'), ['secrets: [API_KEY]']));

  const { id, domain } = (await stage.api('POST', '/containers', { name: 'private', repo: 'acme/private', tag: 'v1' })).body;
  expect(await settled(id)).toMatchObject({ status: 'failed', error_message: expect.stringContaining('credentials') as string });
  expect(await ghcr()).toEqual({ has_credentials: false, expired: false });
  expect(await putToken(WRONG)).toMatchObject({ status: 200 });
  expect(await relaunch(id)).toMatchObject({ status: 'failed' });
  expect(await ghcr()).toMatchObject({ has_credentials: true, expired: true });
  expect(await putToken(stage.registry.auth?.password ?? '')).toMatchObject({ status: 200 });
  expect(await ghcr()).toMatchObject({ has_credentials: true, expired: false });

  for (const name of ['API_KEY', 'OTHER']) {
    expect(await stage.api('POST', '/secrets', { name, value: FIRST })).toMatchObject({ status: 201, body: { name, used_by: [] } });
  }
  expect(await stage.api('POST', `/containers/${id}/relaunch`, { secrets: ['NOBODY'] })).toMatchObject({ status: 404 });
  expect(await relaunch(id, { secrets: ['API_KEY', 'OTHER'] })).toMatchObject({ status: 'ready', stale: false });
  await expect.poll(() => shownEnv(domain)).toBe(`${FIRST}|\n`);

  expect(await stage.api('PUT', '/secrets/API_KEY', { value: SECOND })).toMatchObject({ status: 200, body: { used_by: ['private'] } });
  expect((await stage.api('GET', `/containers/${id}`)).body).toMatchObject({ status: 'ready', stale: true });
  await expect.poll(() => shownEnv(domain)).toBe(`${FIRST}|\n`);
  expect(await relaunch(id)).toMatchObject({ status: 'ready', stale: false });
  await expect.poll(() => shownEnv(domain)).toBe(`${SECOND}|\n`);

  const refused = { error: 'secret is in use by: private', code: 'CONFLICT', containers: ['private'] };
  expect(await stage.api('DELETE', '/secrets/API_KEY')).toMatchObject({ status: 409, body: refused });
  expect((await stage.api('DELETE', `/containers/${id}`)).status).toBe(204);
  expect((await stage.api('DELETE', '/secrets/API_KEY')).status).toBe(200);

  const { dataDir } = stage.server;
  const files = readdirSync(dataDir, { withFileTypes: true }).filter((entry) => entry.isFile());
  const kept =
    Buffer.concat(files.map(({ name }) => readFileSync(join(dataDir, name)))).toString('latin1') +
    stage.server.stdout() +
    stage.server.stderr();
  for (const value of [FIRST, SECOND, WRONG, stage.registry.auth?.password ?? ''])
    expect([value, kept.includes(value)]).toEqual([value, false]);
  expect(kept).toContain('secret.updated');
}, 90_000);

import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageConfig, startContainerStage, type ContainerStage } from '../support/container-stage.ts';

let stage: ContainerStage;

beforeAll(async () => {
  stage = await startContainerStage({ containers: 'auto_update_ms: 300' });
}, 60_000);

afterAll(async () => {
  await stage.stop();
}, 60_000);

test('a container comes up, is relaunched, and leaves nothing when it is deleted', async () => {
  stage.release('web', 'v1', pageConfig(await stage.page('one')));
  stage.release('web', 'v2', pageConfig(await stage.page('two')));
  const created = await stage.api('POST', '/containers', { name: 'web', repo: 'acme/web', tag: 'v1' });
  expect(created).toMatchObject({ status: 201, body: { status: 'deploying' } });
  const { id } = created.body;
  await stage.until(id, ({ status }) => status !== 'deploying');
  expect((await stage.api('GET', `/containers/${id}`)).body).toMatchObject({ status: 'ready', error_message: null });
  const { domain } = created.body;
  expect(domain).toBe('web.default.containers.localhost');
  expect(await stage.visit(domain)).toEqual({ status: 200, text: 'one' });
  const relaunched = await stage.api('POST', `/containers/${id}/relaunch`, { tag: 'v2' });
  expect(relaunched).toMatchObject({ status: 200, body: { status: 'ready', current_tag: 'v1', update_tag: 'v2' } });
  await stage.until(id, ({ current_tag: tag, update_tag: update }) => tag === 'v2' && update === null);
  expect(await stage.visit(domain)).toEqual({ status: 200, text: 'two' });
  expect((await stage.api('DELETE', `/containers/${id}`)).status).toBe(204);
  await expect.poll(() => stage.left(), { timeout: 20_000 }).toEqual({ containers: [], networks: [], volumes: [], images: [] });
  expect((await stage.visit(domain)).status).toBe(404);
}, 60_000);

test('a container that updates itself goes to a newer version of its repository, and no further than it is told', async () => {
  stage.release('auto', 'v1.0.0', pageConfig(await stage.page('one')));
  const { id, domain } = (await stage.api('POST', '/containers', { name: 'auto', repo: 'acme/auto', tag: 'v1.0.0' })).body;
  await stage.until(id, ({ status }) => status === 'ready');
  expect(await stage.api('POST', `/containers/${id}/auto-update`, { auto_update: true })).toMatchObject({
    status: 200,
    body: { auto_update: true },
  });
  stage.release('auto', 'v1.1.0', pageConfig(await stage.page('two')));
  await stage.until(id, ({ current_tag: tag, update_tag: update }) => tag === 'v1.1.0' && update === null);
  expect(await stage.visit(domain)).toEqual({ status: 200, text: 'two' });
  expect((await stage.api('POST', `/containers/${id}/auto-update`, { auto_update: false })).body['auto_update']).toBe(false);
  expect((await stage.api('DELETE', `/containers/${id}`)).status).toBe(204);
}, 60_000);

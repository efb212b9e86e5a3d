import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageConfig, startContainerStage, type ContainerStage } from '../support/container-stage.ts';

let stage: ContainerStage;

beforeAll(async () => {
  stage = await startContainerStage();
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

import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageConfig, startContainerStage, type ContainerStage } from '../support/container-stage.ts';
import { CONTAINER_POINTS } from './kill-points.ts';

let stage: ContainerStage;

beforeAll(async () => {
  stage = await startContainerStage();
  stage.release('app', 'v1', pageConfig(await stage.page('one')));
  stage.release('app', 'v2', pageConfig(await stage.page('two')));
}, 60_000);

afterAll(async () => {
  await stage.stop();
}, 60_000);

test.each(CONTAINER_POINTS.map((point) => [point]))(
  'a process that is killed at %s comes back to what was asked, once',
  async (point) => {
    const name = point.replace('.', '-');
    const isRemoval = point === 'container.removed';
    if (isRemoval) {
      const { body } = await stage.api('POST', '/containers', { name, repo: 'acme/app', tag: 'v1' });
      await stage.until(body.id, ({ status }) => status === 'ready');
    }
    await stage.server.kill();
    await stage.server.start({ kill: { point, hit: 1, armFile: null } });
    const ended = stage.server.ended();
    if (isRemoval) {
      const listed = await stage.api<{ readonly id: string }[]>('GET', '/containers');
      await stage.api('POST', `/containers/${listed.body[0]?.id ?? ''}/relaunch`, { tag: 'v2' });
    } else await stage.api('POST', '/containers', { name, repo: 'acme/app', tag: 'v2' });
    expect(await ended).toMatchObject({ signal: 'SIGKILL' });
    await stage.server.start();
    const [container] = (await stage.api<{ readonly id: string; readonly domain: string }[]>('GET', '/containers')).body;
    const id = container?.id ?? '';
    await stage.until(id, (shown) => shown.status === 'ready' && shown.current_tag === 'v2' && shown.update_status === null);
    expect(await stage.visit(container?.domain ?? '')).toEqual({ status: 200, text: 'two' });
    await expect.poll(async () => (await stage.left()).containers.length, { timeout: 15_000 }).toBe(1);
    expect((await stage.api('DELETE', `/containers/${id}`)).status).toBe(204);
    await expect.poll(() => stage.left(), { timeout: 15_000 }).toMatchObject({ containers: [], networks: [] });
  },
  60_000,
);

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startContainerStage, type ContainerStage } from '../support/container-stage.ts';

let stage: ContainerStage;
let image: string;

beforeAll(async () => {
  stage = await startContainerStage({ containers: 'give_up_ms: 3000' });
  image = await stage.page('page');
}, 60_000);

afterAll(async () => {
  await stage.stop();
}, 60_000);

/** A configuration of one container with these fields, as YAML in its flow form. */
const configOf = (fields: object): string =>
  JSON.stringify({ memory: 64, containers: [{ name: 'web', stop_timeout: 1, ...fields }], shim: { 'upstream-port': 80 } });

const shell = (script: string): object => ({ command: ['sh', '-c', script] });
const SERVE = 'exec httpd -f -p 80 -h /srv';
const ROOT = { cap_add: ['NET_BIND_SERVICE'] };

describe('a container that cannot come up fails with a reason that helps, and leaves nothing running', () => {
  const cases: readonly (readonly [name: string, fields: () => object, message: RegExp])[] = [
    ['ends', () => ({ image, ...shell('echo "no database"; exit 3') }), /^the container web ended with exit code 3/],
    ['says-nothing', () => ({ image, ...shell('sleep 60') }), /^the container web did not answer HTTP on port 80 within \d+ s$/],
    [
      'unwell',
      () => ({ image, ...ROOT, ...shell(SERVE), healthcheck: { test: ['CMD', 'false'], interval: '1s', timeout: '1s', retries: 1 } }),
      /^the container web is unhealthy/,
    ],
    ['greedy', () => ({ image, memory: '16m', ...shell('tail /dev/zero') }), /memory was full/],
    ['no-command', () => ({ image, command: ['/bin/nothing-there'] }), /nothing-there|start/],
    ['no-image', () => ({ image: `ghcr.io/acme/page@sha256:${'0'.repeat(64)}` }), /image|registry/i],
    ['writes-root', () => ({ image, ...ROOT, ...shell(`touch /here && ${SERVE}`) }), /ended with exit code 1/],
  ];

  test.concurrent.each(cases)('%s', async (name, fields, message) => {
    stage.release(name, 'v1', configOf(fields()));
    const created = await stage.api('POST', '/containers', { name, repo: `acme/${name}`, tag: 'v1' });
    expect(created.status).toBe(201);
    const container = await stage.until(created.body.id, ({ status }) => status === 'failed');
    expect(container.error_message).toMatch(message);
    expect((await stage.visit(container.domain)).status).toBe(404);
    if (name === 'ends') expect(await stage.logs(container.id)).toContain('"line":"no database"');
  });

  test('of all of them nothing is left', async () => {
    await expect.poll(async () => (await stage.left()).containers, { timeout: 15_000 }).toEqual([]);
    expect((await stage.left()).networks).toEqual([]);
  });
});

describe('a configuration that breaks rules', () => {
  test('is refused at once, with every rule and its place, and nothing is made', async () => {
    const bad = { image: 'ghcr.io/acme/page:latest', privileged: true, env: ['A=B'], dragons: 1 };
    stage.release('bad', 'v1', configOf(bad));
    const before = (await stage.api<unknown[]>('GET', '/containers')).body.length;
    for (const [path, more] of [
      ['/containers', { name: 'bad' }],
      ['/containers/validate', {}],
    ] as const) {
      const { status, body } = await stage.api<{ valid: boolean; code: string; errors: { path: string }[] }>('POST', path, {
        ...more,
        repo: 'acme/bad',
        tag: 'v1',
      });
      expect(status).toBe(400);
      expect(body).toMatchObject({ valid: false, code: 'BAD_REQUEST' });
      const places = ['containers[0].dragons', 'containers[0].env[0]', 'containers[0].image', 'containers[0].privileged'];
      expect(body.errors.map(({ path: place }) => place).toSorted()).toEqual(places);
    }
    expect((await stage.api<unknown[]>('GET', '/containers')).body).toHaveLength(before);
  });

  test.each([
    [404, { repo: 'acme/none', tag: 'v1' }],
    [404, { repo: 'acme/bad', tag: 'v9' }],
    [400, { repo: '--upload-pack=x/y', tag: 'v1' }],
    [400, { repo: 'acme/bad', tag: '--output=/tmp/x' }],
    [400, { repo: 'acme/../bad', tag: 'v1' }],
    [400, { tag: 'v1' }],
  ])('is %i for %o', async (status, release) => {
    expect((await stage.api('POST', '/containers', { name: 'x', ...release })).status).toBe(status);
  });
});

test('what a container writes is read, and followed, and holds no secret of its inspection', async () => {
  const script = `echo begun; echo "secret is long: $API_TOKEN" | wc -c; (sleep 1; echo later) & ${SERVE}`;
  stage.release('writes', 'v1', configOf({ image, ...ROOT, ...shell(script), secrets: ['API_TOKEN'] }));
  expect((await stage.api('POST', '/secrets', { name: 'API_TOKEN', value: 'canary-4711' })).status).toBe(201);
  const { body } = await stage.api('POST', '/containers', { name: 'writes', repo: 'acme/writes', tag: 'v1', secrets: ['API_TOKEN'] });
  await stage.until(body.id, ({ status }) => status === 'ready');
  const headers = { authorization: `Bearer ${stage.server.credentials().admin_key}` };
  const url = `${stage.server.admin}/api/containers/${body.id}/logs`;
  await expect
    .poll(
      async () =>
        (await (await fetch(url, { headers })).text()).split('\n').map((line) => line.slice(line.indexOf('"line"'), line.indexOf('"tag"'))),
      {
        timeout: 10_000,
      },
    )
    .toEqual(['"line":"begun",', '"line":"28",', '"line":"later",', '']);
  const following = await fetch(`${url}?follow=true&tail=1`, { headers });
  const reader = following.body?.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  expect(new TextDecoder().decode((await reader.read()).value)).toContain('"line":"later"');
  expect((await fetch(`${url}?tail=0`, { headers })).status).toBe(400);
  expect(stage.server.stderr() + stage.server.stdout()).not.toContain('canary-4711');
  expect((await stage.api('DELETE', '/secrets/API_TOKEN')).status).toBe(409);
  expect((await stage.api('PUT', '/secrets/API_TOKEN', { value: 'canary-4712' })).status).toBe(200);
  expect((await stage.api('GET', `/containers/${body.id}`)).body).toMatchObject({ stale: true, status: 'ready' });
  await stage.api('POST', `/containers/${body.id}/relaunch`, {});
  await stage.until(body.id, (shown) => shown['stale'] === false && shown.update_status === null);
  expect((await stage.api('DELETE', `/containers/${body.id}`)).status).toBe(204);
  expect((await stage.api('DELETE', '/secrets/API_TOKEN')).status).toBe(200);
}, 60_000);

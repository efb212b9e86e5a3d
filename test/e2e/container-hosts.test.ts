import { request } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageConfig, startContainerParts, type ContainerParts, type ShownContainer } from '../support/container-stage.ts';
import { startSecondEngine, type TestEngine } from '../support/docker-engine.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { waitUntil } from '../support/wait-until.ts';

let parts: ContainerParts;
let far: TestEngine;
let server: TestServer;

beforeAll(async () => {
  // Each engine in a network of its own, joined to this one by a pair of addresses; the registry listens on one of them.
  [parts, far] = await Promise.all([startContainerParts(undefined, { isOwn: true }), startSecondEngine()]);
  const second = `{ name: far, docker: "${far.docker}", address: ${far.address}, gpus: [1], firewall: { via: ${JSON.stringify(far.via)} } }`;
  const config = parts.config.replace('}]\nsources', `}, ${second}]\nsources`);
  server = await startServer({
    store: { kind: 'sqlite' },
    config: `${config}tenants: [{ id: default, entitlements: { host_choice: true, max_containers: 3 } }]\n`,
  });
  parts.release('app', 'v1', pageConfig(await parts.page('here or there')));
}, 60_000);

afterAll(async () => {
  await server.dispose();
  await Promise.all([parts.stop(), far.stop()]);
}, 60_000);

async function api<T>(method: string, path: string, body?: object): Promise<{ status: number; body: T }> {
  const answer = await fetch(`${server.admin}/api/containers${path}`, {
    method,
    headers: {
      authorization: `Bearer ${server.credentials().admin_key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, body: (text === '' ? null : JSON.parse(text)) as T };
}

/** The status of the page of a host, through the ingress. */
const visit = (host: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(server.ingress);
    const asked = request({ hostname, port, path: '/', agent: false, headers: { host } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asked.on('error', reject);
    asked.end();
  });

const until = (id: string, status: string): Promise<void> =>
  waitUntil(async () => (await api<ShownContainer>('GET', `/${id}`)).body.status === status, 20_000);

test('containers run on the hosts that they are sent to, and one host that goes away takes nothing of the other with it', async () => {
  const hosts = await api<object[]>('GET', '/hosts');
  expect(hosts.body).toMatchObject([
    { name: 'here', is_default: true, available_gpu_values: [] },
    { name: 'far', is_default: false, available_gpu_values: [1] },
  ]);
  const near = (await api<ShownContainer>('POST', '', { name: 'near', repo: 'acme/app', tag: 'v1' })).body;
  const away = (await api<ShownContainer>('POST', '', { name: 'away', repo: 'acme/app', tag: 'v1', host_name: 'far' })).body;
  expect([near['host_name'], away['host_name']]).toEqual(['here', 'far']);
  await Promise.all([until(near.id, 'ready'), until(away.id, 'ready')]);
  const unitsOf = (engine: TestEngine): string => engine.run('cat', '/proc/net/dev');
  expect(unitsOf(far)).toContain('csc-');

  await far.kill();
  await waitUntil(
    async () => (await api('POST', '', { name: 'late', repo: 'acme/app', tag: 'v1', host_name: 'far' })).status === 503,
    20_000,
  );
  expect((await api('POST', `/${near.id}/relaunch`, { variables: { A: 'b' } })).status).toBe(200);
  await waitUntil(async () => (await api<ShownContainer>('GET', `/${near.id}`)).body.update_status === null, 20_000);
  expect(await visit(near.domain)).toBe(200);
  await far.start();
  // What ran there has stopped with its engine; it is brought back without anybody asking.
  await waitUntil(async () => (await visit(away.domain)) === 200, 20_000);
  expect((await api('DELETE', `/${away.id}`)).status).toBe(204);
  expect((await api('DELETE', `/${near.id}`)).status).toBe(204);
}, 90_000);

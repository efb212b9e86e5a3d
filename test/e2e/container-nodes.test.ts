import { request } from 'node:http';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageConfig, startContainerParts, type ContainerParts, type ShownContainer } from '../support/container-stage.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { makeSshClient } from '../support/ssh-client.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import { waitUntil } from '../support/wait-until.ts';

describePostgres('two nodes on one database, and one engine', () => {
  let cluster: PostgresCluster;
  let parts: ContainerParts;
  let folder: string;
  const nodes: TestServer[] = [];

  beforeAll(async () => {
    [cluster, parts] = await Promise.all([startPostgresCluster(), startContainerParts(undefined, { isOwn: true })]);
    folder = mkdtempSync(join(tmpdir(), 'castellan-nodes-'));
    const store = { kind: 'postgres', url: await cluster.createDatabase() } as const;
    const { config } = parts;
    const first = await startServer({ store, config });
    // The second node has the keys of the first, as nodes of one database do.
    const dataDir = join(folder, 'data');
    cpSync(first.dataDir, dataDir, { recursive: true });
    nodes.push(first, await startServer({ store, config, dataDir }));
    for (const tag of ['v1', 'v2']) parts.release('app', tag, pageConfig(await parts.page(tag)));
  }, 90_000);

  afterAll(async () => {
    for (const node of nodes) await node.dispose();
    await Promise.all([parts.stop(), cluster.stop()]);
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  async function api<T = ShownContainer>(node: number, method: string, path: string, body?: object): Promise<T> {
    const answer = await fetch(`${nodes[node]?.admin}/api/containers${path}`, {
      method,
      headers: {
        authorization: `Bearer ${nodes[0]?.credentials().admin_key ?? ''}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return (text === '' ? null : JSON.parse(text)) as T;
  }

  const visit = (node: number, host: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(nodes[node]?.ingress ?? '');
      const asked = request({ hostname, port, path: '/', agent: false, headers: { host } }, (answer) => {
        let text = '';
        answer.on('data', (chunk) => (text += String(chunk)));
        answer.on('end', () => resolve(text));
      });
      asked.on('error', reject);
      asked.end();
    });

  test('a key that is taken from a debug container on one node ends its shells on the other, and opens none', async () => {
    const client = makeSshClient();
    try {
      const headers = { authorization: `Bearer ${nodes[0]?.credentials().admin_key ?? ''}`, 'content-type': 'application/json' };
      const keys = { ann: client.key('ann'), spare: client.key('spare') };
      for (const [name, file] of Object.entries(keys)) {
        const body = JSON.stringify({ name, public_key: client.publicKey(file) });
        expect((await fetch(`${nodes[0]?.admin}/api/ssh-keys`, { method: 'POST', headers, body })).status).toBe(201);
      }
      const { id } = await api(0, 'POST', '', { name: 'shell', repo: 'acme/app', tag: 'v1', debug: true, ssh_keys: ['ann', 'spare'] });
      await waitUntil(async () => (await api(1, 'GET', `/${id}`)).status === 'ready', 20_000);
      const { ssh_port: port, ssh_user: user } = await api(1, 'GET', `/${id}`);
      const on = (key: string, command: string) => ({ user: String(user), key, command });
      const shell = client.start(Number(port), on(keys.spare, 'echo ready; sleep 600'));
      await waitUntil(async () => shell.printed().includes('ready'), 20_000);
      await api(0, 'POST', `/${id}/relaunch`, { ssh_keys: ['ann'] });
      expect(await shell.done).toMatchObject({
        status: 255,
        stderr: expect.stringContaining('access to the container has ended') as string,
      });
      expect((await client.run(Number(port), on(keys.spare, 'true'))).stderr).toContain('Permission denied (publickey)');
      await waitUntil(async () => (await client.run(Number(port), on(keys.ann, 'true'))).status === 0, 20_000);
      await api(1, 'DELETE', `/${id}`);
    } finally {
      client.stop();
    }
  }, 90_000);

  test('one of them acts, both serve, and the other takes over where the first ends', async () => {
    const { id, domain } = await api(0, 'POST', '', { name: 'app', repo: 'acme/app', tag: 'v1' });
    await waitUntil(async () => (await api(1, 'GET', `/${id}`)).status === 'ready', 20_000);
    await waitUntil(async () => (await visit(0, domain)) === 'v1' && (await visit(1, domain)) === 'v1');
    await api(1, 'POST', `/${id}/relaunch`, { tag: 'v2' });
    await waitUntil(async () => (await api(0, 'GET', `/${id}`)).current_tag === 'v2', 20_000);
    await waitUntil(async () => (await visit(0, domain)) === 'v2' && (await visit(1, domain)) === 'v2');
    await nodes[0]?.stop();
    await api(1, 'POST', `/${id}/relaunch`, { tag: 'v1' });
    await waitUntil(async () => (await api(1, 'GET', `/${id}`)).current_tag === 'v1', 40_000);
    await api(1, 'DELETE', `/${id}`);
    // Each switch happened once, whichever node made it.
    const headers = { authorization: `Bearer ${nodes[0]?.credentials().admin_key ?? ''}` };
    for (const [type, count] of [
      ['container.ready', 1],
      ['container.updated', 2],
    ] as const) {
      const answer = await fetch(`${nodes[1]?.admin}/v1/x-castellan/events?type=${type}`, { headers });
      const { events } = (await answer.json()) as { events: { data: { container_id: string } }[] };
      expect(events.filter((event) => event.data.container_id === id)).toHaveLength(count);
    }
  }, 120_000);
});

import { Agent, request, type IncomingMessage } from 'node:http';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pageConfig, startContainerStage, type ContainerStage, type ShownContainer } from '../support/container-stage.ts';

const RELAUNCHES = 5;
const CLIENTS = 4;

let stage: ContainerStage;
let container: ShownContainer;
const agent = new Agent({ keepAlive: true });

beforeAll(async () => {
  stage = await startContainerStage();
  // It streams a line a moment where it is asked to.
  const slow = '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\nfor i in 1 2 3 4 5 6 7 8; do echo "line $i"; sleep 0.2; done\n';
  const page = await stage.registry.push({
    name: 'acme/slow',
    command: ['/bin/busybox', 'httpd', '-f', '-p', '80', '-h', '/srv', '-c', '/etc/httpd.conf'],
    files: { '/srv/index.html': 'page', '/srv/slow.sh': slow, '/etc/httpd.conf': '*.sh:/bin/sh\n' },
  });
  stage.release('app', 'v1', pageConfig(page.address.replace(stage.registry.host, 'ghcr.io')));
  const { body } = await stage.api('POST', '/containers', { name: 'app', repo: 'acme/app', tag: 'v1' });
  container = await stage.until(body.id, ({ status }) => status === 'ready');
}, 60_000);

afterAll(async () => {
  agent.destroy();
  await stage.stop();
}, 60_000);

/** A request on a connection that is kept; what it was answered. */
function visit(path: string): Promise<{ readonly status: number; readonly text: string }> {
  const { hostname, port } = new URL(stage.server.ingress);
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path, agent, headers: { host: container.domain } }, (answer: IncomingMessage) => {
      let text = '';
      answer.on('data', (chunk) => (text += String(chunk)));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }));
      answer.on('error', reject);
    });
    asked.on('error', reject);
    asked.end();
  });
}

test(`${RELAUNCHES} relaunches under constant load refuse and cut no request`, async () => {
  let isOver = false;
  let served = 0;
  const failures: unknown[] = [];
  const client = async (): Promise<void> => {
    while (!isOver) {
      const got = await visit('/').catch((err: unknown) => err);
      if (got instanceof Error || (got as { status: number }).status !== 200) failures.push(got);
      else served += 1;
    }
  };
  const load = Promise.all(Array.from({ length: CLIENTS }, client));
  for (let index = 0; index < RELAUNCHES; index += 1) {
    const before = served;
    const { status } = await stage.api('POST', `/containers/${container.id}/relaunch`, { variables: { INDEX: String(index) } });
    expect(status).toBe(200);
    const wanted = (shown: ShownContainer): boolean =>
      shown.update_status === null && (shown['variables'] as { readonly INDEX?: string }).INDEX === String(index);
    await stage.until(container.id, wanted);
    expect(served).toBeGreaterThan(before);
  }
  isOver = true;
  await load;
  expect(failures).toEqual([]);
}, 120_000);

test('an answer that streams goes on to its end while another deployment takes over, and only then the old one goes', async () => {
  const streaming = visit('/slow.sh');
  await stage.api('POST', `/containers/${container.id}/relaunch`, { variables: { INDEX: 'stream' } });
  await stage.until(container.id, (shown) => (shown['variables'] as { readonly INDEX?: string }).INDEX === 'stream');
  const { status, text } = await streaming;
  expect(status).toBe(200);
  expect(text.trim().split('\n')).toHaveLength(8);
  await expect.poll(async () => (await stage.left()).containers.length, { timeout: 15_000 }).toBe(1);
}, 60_000);

test('a killed server leaves what serves serving', async () => {
  const { id } = container;
  await stage.server.kill();
  await stage.server.start();
  expect(await visit('/')).toMatchObject({ status: 200, text: 'page' });
  expect((await stage.api('GET', `/containers/${id}`)).body).toMatchObject({ status: 'ready' });
  await expect.poll(async () => (await stage.left()).containers.length, { timeout: 15_000 }).toBe(1);
}, 60_000);

import { createHash } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ContainerEngine, RegistryAuth } from '../../src/ports/container-engine.ts';
import { startDockerEngine, type TestEngine } from '../support/docker-engine.ts';
import { startDockerRegistry, type PushedImage, type TestRegistry } from '../support/docker-registry.ts';
import { adapterOf, imageOf } from './stage.ts';

const STALL_MS = 400;
const MISSING = `sha256:${'0'.repeat(64)}`;

let docker: TestEngine;
let engine: ContainerEngine;
let registry: TestRegistry;
let closed: TestRegistry;
let image: PushedImage;
const servers: Server[] = [];

beforeAll(async () => {
  docker = await startDockerEngine();
  engine = adapterOf(docker, { limits: { stallMs: STALL_MS } });
  registry = await startDockerRegistry({ address: docker.testAddress });
  closed = await startDockerRegistry({ address: docker.testAddress, password: true });
  image = await closed.push({ name: 'acme/private', command: ['true'] });
});
afterAll(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  await engine.removeImage(imageOf(image));
  await engine.close();
  await closed.stop();
  await registry.stop();
  await docker.stop();
});

const pull = (address: string, auth: RegistryAuth | null = null, signal = new AbortController().signal): Promise<void> =>
  engine.pull({ image: imageOf({ address }), auth, signal });

/** A registry that answers as told. */
async function registryThat(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, docker.testAddress, resolve));
  return `${docker.testAddress}:${(server.address() as AddressInfo).port}`;
}

describe('a registry with a password', () => {
  test('gives an image to the right one only, and the others are told why not', async () => {
    const name = image.address.split('@')[0];
    const refused = `The image ${name} cannot be pulled: the registry does not give it without the right credentials.`;
    await expect(pull(image.address)).rejects.toMatchObject({ kind: 'image_refused', status: 401, publicMessage: refused });
    const wrong = { username: closed.auth?.username ?? '', password: 'wrong password' };
    await expect(pull(image.address, wrong)).rejects.toMatchObject({ kind: 'image_refused', status: 401 });
    const error = await pull(image.address, wrong).catch((fault: Error) => fault);
    expect(JSON.stringify([error, String(error)])).not.toContain('wrong password');
    expect(await engine.hasImage(imageOf(image))).toBe(false);
    await pull(image.address, closed.auth);
    expect(await engine.hasImage(imageOf(image))).toBe(true);
  });
});

describe('an image', () => {
  test('that is not there is refused for good', async () => {
    const address = `${registry.host}/acme/none@${MISSING}`;
    const publicMessage = `The image ${registry.host}/acme/none cannot be pulled: the registry has no such image.`;
    await expect(pull(address)).rejects.toMatchObject({ kind: 'image_refused', publicMessage });
  });

  test('of another content than its digest says is refused for good, and is not there after', async () => {
    const pushed = await registry.push({ name: 'acme/web', command: ['true'] });
    const type = 'application/vnd.docker.distribution.manifest.v2+json';
    const manifest = await (
      await fetch(`http://${registry.host}/v2/acme/web/manifests/${pushed.digest}`, { headers: { accept: type } })
    ).text();
    const lying = await registryThat((asked, answer) => {
      const isManifest = asked.url?.includes('/manifests/') === true;
      answer.writeHead(200, isManifest ? { 'content-type': type } : {}).end(isManifest ? manifest : '{}');
    });
    const address = `${lying}/acme/web@${MISSING}`;
    await expect(pull(address)).rejects.toMatchObject({
      kind: 'image_refused',
      publicMessage: `The image ${lying}/acme/web cannot be pulled: what the registry gave is not an image of that digest that runs here.`,
    });
    expect(await engine.hasImage(imageOf({ address }))).toBe(false);
  });
});

describe('a registry that fails', () => {
  test('is told from one that refuses: nobody listens, or it stalls, or answers nonsense', async () => {
    const gone = `${docker.testAddress}:1/acme/web@${MISSING}`;
    const failed = (name: string, why: string): object => ({
      kind: 'registry_failed',
      publicMessage: `The image ${name} cannot be pulled: ${why}.`,
    });
    await expect(pull(gone)).rejects.toMatchObject(failed(gone.split('@')[0] ?? '', 'the registry was not reached or failed'));

    const stalling = await registryThat(() => undefined);
    await expect(pull(`${stalling}/acme/web@${MISSING}`)).rejects.toMatchObject(failed(`${stalling}/acme/web`, 'the registry stalled'));

    const broken = await registryThat((_asked, answer) => answer.writeHead(500).end('no'));
    await expect(pull(`${broken}/acme/web@${MISSING}`)).rejects.toMatchObject({ kind: 'registry_failed' });
  });

  test('in the middle of a layer is given up after a time without progress', async () => {
    const layer = Buffer.alloc(100_000, 7);
    const hash = (bytes: Buffer | string): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const config = JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: [hash(layer)] } });
    const mediaType = 'application/vnd.docker.distribution.manifest.v2+json';
    const manifest = JSON.stringify({
      schemaVersion: 2,
      mediaType,
      config: { mediaType: 'application/vnd.docker.container.image.v1+json', size: config.length, digest: hash(config) },
      layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', size: layer.length, digest: hash(layer) }],
    });
    const host = await registryThat((asked, answer) => {
      if (asked.url === '/v2/') answer.end('{}');
      else if (asked.url?.includes('/manifests/') === true) answer.writeHead(200, { 'content-type': mediaType }).end(manifest);
      else if (asked.url?.endsWith(hash(config)) === true) answer.end(config);
      else answer.writeHead(200, { 'content-length': layer.length }).write(layer.subarray(0, 1000));
    });
    const started = performance.now();
    await expect(pull(`${host}/acme/web@${hash(manifest)}`)).rejects.toMatchObject({ kind: 'registry_failed' });
    expect(performance.now() - started).toBeLessThan(10 * STALL_MS);
  });
});

test('a pull that is given up ends at once', async () => {
  let asked = (): void => undefined;
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  const stalling = await registryThat(() => asked());
  const ending = new AbortController();
  const pulling = pull(`${stalling}/acme/web@${MISSING}`, null, ending.signal);
  await isAsked;
  ending.abort();
  await expect(pulling).rejects.toMatchObject({ kind: 'aborted' });
  await expect(pull(`${stalling}/acme/web@${MISSING}`, null, AbortSignal.abort())).rejects.toMatchObject({ kind: 'aborted' });
});

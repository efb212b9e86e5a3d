import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ImageRef } from '../../src/core/containers/images.ts';
import type { ContainerEngine } from '../../src/ports/container-engine.ts';
import { startDockerEngine, type TestEngine } from '../support/docker-engine.ts';
import { startDockerRegistry, type TestRegistry } from '../support/docker-registry.ts';
import { adapterOf, clear, imageOf, linesOf, ownerOf, unitOf } from './stage.ts';

const MIB = 1024 * 1024;

let docker: TestEngine;
let registry: TestRegistry;
let engine: ContainerEngine;
let image: ImageRef;
let owner: ReturnType<typeof ownerOf>;

beforeAll(async () => {
  docker = await startDockerEngine();
  registry = await startDockerRegistry({ address: docker.testAddress });
  engine = adapterOf(docker);
  image = imageOf(await registry.push({ name: 'acme/tools', command: ['sh', '-c', 'echo started; exec sleep 60'] }));
  await engine.pull({ image, auth: null, signal: new AbortController().signal });
  owner = ownerOf('d');
});
afterEach(() => clear(engine, owner));
afterAll(async () => {
  await engine.removeImage(image);
  await engine.close();
  await registry.stop();
  await docker.stop();
});

test('an engine tells its version, its size and that its traffic is kept in', async () => {
  const state = await engine.ping();
  expect(state).toMatchObject({
    version: expect.stringMatching(/^\d+\./),
    apiVersion: expect.stringMatching(/^1\.\d+$/),
    firewall: 'managed',
  });
  expect(state.cpus).toBeGreaterThan(0);
  expect(state.memoryBytes).toBeGreaterThan(100 * MIB);
});

describe('a unit', () => {
  test('runs as its image says, and is stopped, and removed, each also twice', async () => {
    const { id } = await engine.createUnit(unitOf(owner, image));
    expect(await engine.inspectUnit(id)).toMatchObject({ id, state: 'created', startedAtMs: null, publishedPort: null, health: 'none' });
    await engine.startUnit(id);
    await engine.startUnit(id);
    expect(await engine.inspectUnit(id)).toMatchObject({ state: 'running', restarts: 0, error: '' });
    await engine.stopUnit(id, 0);
    await engine.stopUnit(id, 0);
    expect(await engine.inspectUnit(id)).toMatchObject({ state: 'exited', exitCode: 137, oomKilled: false });
    await engine.removeUnit(id);
    await engine.removeUnit(id);
    await engine.stopUnit(id, 0);
    expect(await engine.inspectUnit(id)).toBeNull();
    expect(await engine.stats(id)).toBeNull();
    expect(await linesOf(engine, id)).toEqual([]);
  });
});

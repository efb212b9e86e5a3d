import { networkName, unitName } from '../../src/core/containers/engine-names.ts';
import { resolveImage, type ImageRef } from '../../src/core/containers/images.ts';
import { makeDockerEngine, type DockerEngineOptions } from '../../src/engine/docker/docker-engine.ts';
import { parseEngineAddress } from '../../src/engine/docker/engine-address.ts';
import type { ContainerEngine, EngineOwner, LogLine, NetworkSpec, UnitSpec, UnitState } from '../../src/ports/container-engine.ts';
import type { TestEngine } from '../support/docker-engine.ts';
import type { PushedImage } from '../support/docker-registry.ts';

const made = { count: 0 };

/** Whose things are in one test: an installation and a deployment of its own. */
export function ownerOf(test: string): EngineOwner & { readonly deployment: string } {
  made.count += 1;
  const id = `${process.pid}x${made.count}`;
  return { installation: `inst${id}`, tenant: 'ten1', container: `con${id}`, deployment: `${test}${id}` };
}

/** The adapter over an engine of the test. */
export function adapterOf(engine: TestEngine, options: Partial<DockerEngineOptions> = {}): ContainerEngine {
  const parsed = parseEngineAddress(engine.docker, null);
  if (!parsed.ok) throw new Error(parsed.rule);
  return makeDockerEngine({
    host: 'test-host',
    docker: parsed.address,
    address: engine.address,
    firewall: { mode: 'strict', via: engine.via, exceptions: { allow: [], dns: [] } },
    ...options,
  });
}

/** An image as a configuration names it, from a registry that the operator allows. */
export function imageOf({ address }: Pick<PushedImage, 'address'>): ImageRef {
  const [host = ''] = address.split('/');
  const resolved = resolveImage(address, { ghcr: 'ghcr.io', gcr: 'gcr.io', dockerhub: 'docker.io', allow: [host] });
  if (!resolved.ok) throw new Error(resolved.rule);
  return resolved.image;
}

/** A unit with the defaults of a configuration. */
export function unitOf(owner: ReturnType<typeof ownerOf>, image: ImageRef, given: Partial<UnitSpec> = {}): UnitSpec {
  const unit = given.unit ?? 'app';
  return {
    name: unitName(owner.deployment, unit),
    unit,
    owner,
    image,
    command: null,
    entrypoint: null,
    workingDir: null,
    user: null,
    env: [],
    mounts: [],
    networks: [],
    shimPort: null,
    ports: [],
    gpus: null,
    allottedGpus: [],
    ipc: null,
    capAdd: [],
    shmBytes: null,
    memoryBytes: 64 * 1024 * 1024,
    cpus: 1,
    tmpfs: [],
    readOnly: true,
    pidsLimit: 64,
    restart: { name: 'no', maximumRetries: 0 },
    stopSignal: null,
    stopTimeoutS: null,
    healthcheck: null,
    ...given,
  };
}

export const networkOf = (owner: ReturnType<typeof ownerOf>, role: NetworkSpec['role'], name = 'net'): NetworkSpec => ({
  name: networkName(owner.deployment, role, name),
  role,
  owner,
});

/** Looks until a unit is as wanted; fails with what it was last. */
export async function until(
  engine: ContainerEngine,
  id: string,
  isWanted: (state: UnitState) => boolean,
  limitMs = 10_000,
): Promise<UnitState> {
  const deadlineMs = Date.now() + limitMs;
  for (;;) {
    const state = await engine.inspectUnit(id);
    if (state !== null && isWanted(state)) return state;
    if (Date.now() > deadlineMs) throw new Error(`the unit did not become as wanted: ${JSON.stringify(state)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export const isEnded = ({ state }: UnitState): boolean => state === 'exited' || state === 'dead';

/** All lines that a unit wrote. */
export async function linesOf(engine: ContainerEngine, id: string, tail: number | null = null): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  const signal = new AbortController().signal;
  for await (const line of engine.logs(id, { tail, sinceMs: null, follow: false, signal })) lines.push(line);
  return lines;
}

/** Runs a unit to its end and returns what it wrote, joined, and how it ended. */
export async function runUnit(engine: ContainerEngine, spec: UnitSpec): Promise<{ readonly text: string; readonly state: UnitState }> {
  const { id } = await engine.createUnit(spec);
  await engine.startUnit(id);
  const state = await until(engine, id, isEnded);
  const text = (await linesOf(engine, id)).map(({ line }) => line).join('\n');
  return { text, state };
}

/** Removes everything of an installation. */
export async function clear(engine: ContainerEngine, { installation }: EngineOwner): Promise<void> {
  const owned = await engine.list(installation);
  await Promise.all(owned.units.map(({ id }) => engine.removeUnit(id)));
  await Promise.all(owned.networks.map(({ name }) => engine.removeNetwork(name)));
  await Promise.all(owned.volumes.map(({ name }) => engine.removeVolume(name)));
}

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isLive, liveDeployments, type Container, type ContainerRoster } from '../../src/core/containers/container-records.ts';
import type { EngineFaultKind } from '../../src/ports/container-engine.ts';
import { ANN, configOf, makeContainerHarness, unitOf, type ContainerHarness } from '../support/container-harness.ts';

/** What a random script does next. Numbers choose among the containers that there are. */
type Step =
  | {
      readonly do: 'create';
      readonly name: string;
      readonly tag: string;
      readonly gpus: number;
      readonly staging: boolean;
      readonly replaces: number | null;
    }
  | { readonly do: 'deploy'; readonly at: number; readonly tag: string; readonly start: boolean; readonly staging: boolean }
  | { readonly do: 'stop' | 'remove' | 'accept' | 'cancel'; readonly at: number }
  | { readonly do: 'look' | 'crash' | 'lose' | 'wait' | 'meter' }
  | { readonly do: 'open'; readonly at: number };

const tag = fc.constantFrom('v1', 'v2', 'once', 'broken', 'deaf');
const at = fc.nat({ max: 5 });

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('create' as const),
      name: fc.constantFrom('a', 'b', 'c'),
      tag,
      gpus: fc.constantFrom(0, 0, 1, 2),
      staging: fc.boolean(),
      replaces: fc.option(at, { freq: 4 }),
    }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('deploy' as const), at, tag, start: fc.boolean(), staging: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('stop' as const, 'remove' as const, 'accept' as const, 'cancel' as const), at }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom(
        'look' as const,
        'look' as const,
        'look' as const,
        'crash' as const,
        'lose' as const,
        'wait' as const,
        'meter' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('open' as const), at }) },
);

const fault = fc.record({
  kind: fc.constantFrom<EngineFaultKind>('unreachable', 'timeout', 'registry_failed', 'refused', 'image_refused'),
  after: fc.boolean(),
  every: fc.integer({ min: 2, max: 9 }),
});

const script = fc.record({ steps: fc.array(step, { minLength: 5, maxLength: 40 }), fault: fc.option(fault, { freq: 2 }) });

const containersOf = ({ store }: ContainerHarness): Container[] =>
  [...store.tables.records].filter(([key]) => key.startsWith('container ')).map(([, record]) => record as Container);

/** What holds of the records after every command. */
function checkRecords(harness: ContainerHarness): void {
  const containers = containersOf(harness);
  for (const { status, current, update, retired, deletedAtMs } of containers) {
    expect(retired.every(({ state }) => state === 'draining')).toBe(true);
    if (deletedAtMs !== null) continue;
    if (status === 'ready') expect(current.state).toBe('serving');
    if (status === 'stopped' || status === 'failed') expect(current.state).toBe(status);
    if (status === 'stopping') expect(current.state).toBe('draining');
    if (status !== 'ready' && status !== 'deploying') expect(update).toBeNull();
    if (current.state === 'serving' || update?.state === 'ready') expect(current.endpoint ?? update?.endpoint).not.toBeNull();
    if (update?.strategy === 'stop-first') expect(['pending', 'started', 'failed']).toContain(update.state);
  }
  const roster = harness.store.tables.records.get('container-roster acme') as ContainerRoster | undefined;
  const listed = (roster?.containers ?? []).map(({ id }) => id).sort();
  expect(listed).toEqual(
    containers
      .filter(({ deletedAtMs }) => deletedAtMs === null)
      .map(({ id }) => id)
      .sort(),
  );
  // A name is held twice only by one that takes the other's place.
  const names = (roster?.containers ?? [])
    .filter(({ id }) => containers.find((container) => container.id === id)?.replaces === null)
    .map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
}

/** What holds of the engine once nothing is under way: exactly what the records ask for, once each. */
function checkEngine(harness: ContainerHarness): void {
  const containers = containersOf(harness);
  expect(containers.filter(({ deletedAtMs }) => deletedAtMs !== null)).toEqual([]);
  const wanted = containers.flatMap(liveDeployments);
  expect(wanted.map(({ state }) => state).filter((state) => state !== 'serving' && state !== 'ready')).toEqual([]);
  const units = [...harness.engine.units.values()];
  expect(units.map(({ spec }) => spec.owner.deployment ?? '').toSorted()).toEqual(wanted.map(({ id }) => id).toSorted());
  expect(units.every(({ state }) => state === 'running')).toBe(true);
  for (const { id, endpoint } of wanted) expect(units.find(({ spec }) => spec.owner.deployment === id)?.publishedPort).toBe(endpoint?.port);
  expect(new Set([...harness.engine.networks.values()].map(({ deployment }) => deployment))).toEqual(new Set(wanted.map(({ id }) => id)));
  const images = new Set(wanted.map(({ config }) => config.units[0]?.image));
  expect(harness.engine.images.size).toBe(images.size);
}

/** Never two deployments at a time of what cannot run twice, nor the same one twice, nor a GPU in two deployments. */
function checkNeverTwice({ engine }: ContainerHarness): void {
  const alone = new Map<string, Set<string | null>>();
  const names = new Set<string>();
  const gpus = new Map<string, string | null>();
  for (const { spec, state } of engine.units.values()) {
    expect(names.has(spec.name)).toBe(false);
    names.add(spec.name);
    for (const device of spec.allottedGpus) {
      expect(gpus.get(device) ?? spec.owner.deployment).toBe(spec.owner.deployment);
      gpus.set(device, spec.owner.deployment);
    }
    if (state !== 'running' || !spec.image.repository.endsWith('once')) continue;
    alone.set(spec.owner.container, (alone.get(spec.owner.container) ?? new Set()).add(spec.owner.deployment));
  }
  for (const deployments of alone.values()) expect(deployments.size).toBe(1);
}

/** What was served, counted second by second: the model that the metering is held against. By the name of a container, in its base units. */
interface ServedModel {
  readonly harness: ContainerHarness;
  readonly served: Map<string, { cpu: bigint; memory: bigint; readonly ids: Set<string> }>;
}

function prepareMetered(): ServedModel {
  const served: ServedModel['served'] = new Map();
  const harness: ContainerHarness = prepare((ms) => {
    for (const { id, name, current } of containersOf(harness)) {
      if (current.state !== 'serving') continue;
      const { cpu, memory, ids } = served.get(name) ?? { cpu: 0n, memory: 0n, ids: new Set() };
      const { cpus, memoryMb } = current.config;
      served.set(name, { cpu: cpu + BigInt((cpus ?? 0) * 1000 * ms), memory: memory + BigInt((memoryMb ?? 0) * ms), ids: ids.add(id) });
    }
  });
  return { harness, served };
}

/** Everything that was served is booked, once; but for less than a second of each container. */
async function checkMetering({ harness, served }: ServedModel): Promise<void> {
  await harness.metering.run();
  const booked = (name: string, model: string): bigint =>
    [...harness.store.tables.usage.values()]
      .filter((event) => event.keyId === `container/${name}` && event.model === model)
      .reduce((sum, { media }) => sum + BigInt(media?.quantity ?? 0), 0n);
  for (const [name, { cpu, memory, ids }] of served) {
    for (const [model, base, all] of [
      ['container-cpu-seconds', 1_000_000n, cpu],
      ['container-memory-gb-seconds', 1_024_000n, memory],
    ] as const) {
      const left = all - booked(name, model) * base;
      expect(left, `${name} ${model}`).toBeGreaterThanOrEqual(0n);
      expect(left, `${name} ${model}`).toBeLessThan(base * BigInt(ids.size));
    }
  }
}

function prepare(onTime: (ms: number) => void = () => undefined): ContainerHarness {
  const harness = makeContainerHarness({ onTime });
  const release = (name: string, mark: string) => ({
    config: configOf({
      cpus: name === 'next' ? 2 : 1,
      units: [unitOf('web', { image: `ghcr.io/acme/${name}@sha256:${mark.repeat(64)}` })],
    }),
  });
  harness.releases.set('v2', release('next', 'b'));
  harness.releases.set('once', { ...release('once', 'c'), runsTwice: false });
  harness.releases.set('broken', release('broken', 'd'));
  harness.releases.set('deaf', release('deaf', 'e'));
  harness.deaf.add('acme/deaf');
  harness.engine.behave = ({ image }) => (image.repository === 'acme/broken' ? { state: 'exited', exitCode: 1 } : {});
  return harness;
}

/** A host that is full refuses; nothing else is thrown. */
const unlessFull = async (asked: Promise<unknown>): Promise<void> => {
  await asked.catch((err: unknown) =>
    expect(err).toMatchObject({ code: 'overloaded', publicMessage: expect.stringContaining('GPUs free') as unknown }),
  );
};

async function play(harness: ContainerHarness, next: Step): Promise<void> {
  const { containers } = harness;
  const ids = containersOf(harness).map(({ id }) => id);
  const idAt = (index: number): string => ids[index % Math.max(ids.length, 1)] ?? '';
  if (next.do === 'create') {
    const { name, gpus, staging } = next;
    const place = { groupName: null, groupOrder: 0, displayOrder: 0 };
    const replaces = next.replaces === null || ids.length === 0 ? null : idAt(next.replaces);
    const wanted = { name, repo: 'acme/web', tag: next.tag, gpus, staging, place, replaces, createdBy: 'ann' };
    await unlessFull(containers.create(ANN, 'acme', wanted));
  } else if (next.do === 'deploy') await unlessFull(containers.deploy(ANN, 'acme', idAt(next.at), next));
  else if (next.do === 'stop') await containers.stop(ANN, 'acme', idAt(next.at));
  else if (next.do === 'remove') await containers.remove(ANN, 'acme', idAt(next.at));
  else if (next.do === 'accept') await containers.accept(ANN, 'acme', idAt(next.at));
  else if (next.do === 'cancel') await containers.cancel(ANN, 'acme', idAt(next.at));
  else if (next.do === 'crash') harness.crash();
  else if (next.do === 'lose') harness.engine.restart();
  else if (next.do === 'wait') harness.advance(20_000);
  else if (next.do === 'meter') await harness.metering.run();
  else if (next.do === 'open') {
    const current = containersOf(harness).find(({ id }) => id === idAt(next.at))?.current;
    if (current !== undefined && isLive(current)) harness.open.set(current.id, 1);
  } else await harness.look();
}

describe('whatever is asked, and whatever fails or is killed in between', () => {
  test('records stay sound, nothing runs twice, hosts come to what the records ask for, and what was served is metered once', async () => {
    await fc.assert(
      fc.asyncProperty(script, async ({ steps, fault: planned }) => {
        const model = prepareMetered();
        const { harness } = model;
        let asked = 0;
        harness.engine.fault = () => {
          asked += 1;
          return planned !== null && asked % planned.every === 0 ? planned : null;
        };
        for (const next of steps) {
          await play(harness, next);
          checkRecords(harness);
          checkNeverTwice(harness);
        }
        harness.engine.fault = null;
        harness.open.clear();
        await harness.settle();
        checkRecords(harness);
        checkNeverTwice(harness);
        checkEngine(harness);
        await checkMetering(model);
      }),
      { numRuns: 60 },
    );
  });
});

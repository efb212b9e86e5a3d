import { expect, test } from 'vitest';
import { makeSampleContainers } from '../../src/app/containers/sample-containers.ts';
import { usageWindow } from '../../src/core/usage/windows.ts';
import { sampleSeries, type SamplePoint } from '../../src/core/containers/container-samples.ts';
import { ANN, configOf, makeContainerHarness, unitOf } from '../support/container-harness.ts';
import { makeCountingIds, makeManualClock, makeMemoryLog } from '../support/fakes.ts';

const NOW_MS = Date.UTC(2026, 3, 9, 12);
const MIB = 1_048_576;

/** A container with two units, one of which has a GPU, and what looks at it. */
async function sampled(options: { readonly gpus: number }) {
  const harness = makeContainerHarness();
  const units = [unitOf('web', { gpus: options.gpus === 0 ? null : options.gpus }), unitOf('side')];
  harness.releases.set('v1', { config: configOf({ cpus: 2, memoryMb: 1024, gpus: options.gpus, units }) });
  const place = { groupName: null, groupOrder: 0, displayOrder: 0 };
  const made = await harness.containers.create(ANN, 'acme', {
    name: 'web',
    repo: 'acme/web',
    tag: 'v1',
    place,
    replaces: null,
    createdBy: 'ann',
  });
  if (!made.ok) throw new Error(made.rejection.message);
  const { id } = made.value.container;
  await harness.settle();
  const clock = makeManualClock(NOW_MS);
  let holdsLease = true;
  let looks = 0;
  const log = makeMemoryLog();
  const look = makeSampleContainers({
    records: harness.store,
    writer: { execute: async (command) => (await harness.store.execute(`look ${(looks += 1)}`, [command], 0)).outcomes[0] as never },
    hosts: [
      { name: 'one', address: '127.0.0.1', gpus: [1], gpuDevices: ['0'], isDefault: true, gpuProbe: ['gpu-probe'], engine: harness.engine },
    ],
    installation: 'inst',
    lease: { isHeld: () => holdsLease },
    clock,
    ids: makeCountingIds(),
    log,
  });
  const unitIds = [...harness.engine.units.values()].map((unit) => [unit.spec.unit, unit.id] as const);
  const idOf = (name: string): string => unitIds.find(([unit]) => unit === name)?.[1] ?? '';
  const use = (name: string, cpuMs: number, memoryBytes: number): void =>
    void harness.engine.stat.set(idOf(name), { cpuNs: BigInt(cpuMs) * 1_000_000n, memoryBytes, memoryLimitBytes: 1, atMs: clock.nowMs() });
  const last = async (): Promise<SamplePoint | undefined> => {
    const buckets = await harness.store.containerSamples({ containerId: id, levelMs: 15_000, fromMs: 0 });
    return sampleSeries(usageWindow('15m') ?? expect.fail(), buckets, clock.nowMs()).at(-1);
  };
  return { harness, clock, look, use, last, idOf, log, loseLease: () => void (holdsLease = false) };
}

test('what the units of a container use together is a share of what it is given', async () => {
  const { clock, look, use, last } = await sampled({ gpus: 0 });
  use('web', 1000, 100 * MIB);
  use('side', 0, 28 * MIB);
  await look();
  // Of one look alone nobody can tell how busy a processor was.
  expect(await last()).toMatchObject({ cpu: { average: 0 }, memory: { average: 0 } });
  clock.advance(15_000);
  use('web', 1000 + 12_000, 300 * MIB);
  use('side', 3000, 212 * MIB);
  await look();
  expect(await last()).toMatchObject({ cpu: { average: 50, max: 50 }, memory: { average: 50, max: 50, totalGib: 1 }, gpu: null });
});

test('a unit that was started anew is measured from then on, and a node without the lease measures nothing', async () => {
  const { clock, look, use, last, loseLease } = await sampled({ gpus: 0 });
  use('web', 50_000, MIB);
  use('side', 0, MIB);
  await look();
  clock.advance(15_000);
  use('web', 10, MIB);
  use('side', 0, MIB);
  await look();
  expect((await last())?.cpu).toEqual({ average: 0, max: 0 });
  clock.advance(15_000);
  use('web', 10 + 30_000, MIB);
  use('side', 0, MIB);
  loseLease();
  await look();
  expect((await last())?.cpu).toEqual({ average: 0, max: 0 });
});

test('GPUs are asked of the units that have them; an answer that is none is not believed', async () => {
  const { harness, clock, look, use, last, idOf } = await sampled({ gpus: 1 });
  const both = (cpuMs: number): void => {
    use('web', cpuMs, MIB);
    use('side', 0, MIB);
  };
  both(0);
  await look();
  harness.engine.printed.set(idOf('web'), '30, 1024, 4096\n');
  harness.engine.printed.set(idOf('side'), 'never asked');
  clock.advance(15_000);
  both(1);
  await look();
  expect(await last()).toMatchObject({ gpu: { average: 30, max: 30 }, gpuMemory: { average: 25, max: 25, totalGib: 4 } });
  harness.engine.printed.set(idOf('web'), 'no devices were found');
  clock.advance(15_000);
  both(2);
  await look();
  expect((await last())?.gpu).toEqual({ average: 0, max: 0 });
});

test('a host that fails hinders no other look', async () => {
  const { harness, look, log } = await sampled({ gpus: 0 });
  harness.engine.fault = (step) => (step === 'list' ? { kind: 'unreachable' } : null);
  await look();
  expect(log.lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
});

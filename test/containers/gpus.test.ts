import { expect, test } from 'vitest';
import type { Outcome } from '../../src/core/rejection.ts';
import { ANN, configOf, makeContainerHarness, unitOf, type ContainerHarness } from '../support/container-harness.ts';

const place = { groupName: null, groupOrder: 0, displayOrder: 0 };

function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.rejection.message);
  return outcome.value;
}

/** Four GPUs, and a release for every number of them. */
function prepared(): ContainerHarness {
  const harness = makeContainerHarness();
  for (const gpus of [0, 1, 2, 4]) {
    harness.releases.set(`g${gpus}`, { config: configOf({ gpus, units: [unitOf('web', { gpus: gpus === 0 ? null : 'all' })] }) });
  }
  return harness;
}

const wanted = (name: string, gpus: number, replaces: string | null = null) => ({
  name,
  repo: 'acme/web',
  tag: `g${gpus}`,
  place,
  replaces,
  createdBy: 'ann',
});

async function serving(harness: ContainerHarness, name: string, gpus: number): Promise<string> {
  const { id } = valueOf(await harness.containers.create(ANN, 'acme', wanted(name, gpus))).container;
  await harness.settle();
  expect(harness.container(id)?.status).toBe('ready');
  return id;
}

/** The GPUs of each unit, by the name of its container. */
const held = (harness: ContainerHarness): Record<string, readonly string[] | null> =>
  Object.fromEntries(
    [...harness.engine.units.values()].map(({ spec }) => [harness.container(spec.owner.container)?.name ?? '', spec.gpus]),
  );

test('each GPU is one container’s, over relaunches, kills and deletions', async () => {
  const harness = prepared();
  const one = await serving(harness, 'one', 1);
  await serving(harness, 'two', 2);
  expect(held(harness)).toEqual({ one: ['0'], two: ['1', '2'] });
  valueOf(await harness.containers.deploy(ANN, 'acme', one, { tag: 'g1', start: false }));
  await harness.settle();
  expect(held(harness)).toEqual({ one: ['3'], two: ['1', '2'] });
  harness.engine.restart();
  harness.crash();
  await harness.settle();
  expect(held(harness)).toEqual({ one: ['3'], two: ['1', '2'] });
  valueOf(await harness.containers.remove(ANN, 'acme', one));
  await harness.settle();
  await serving(harness, 'three', 2);
  expect(held(harness)).toEqual({ two: ['1', '2'], three: ['0', '3'] });
});

test('two that come up at once get different ones', async () => {
  const harness = prepared();
  for (const name of ['one', 'two']) valueOf(await harness.containers.create(ANN, 'acme', wanted(name, 2)));
  await harness.settle();
  expect(new Set(Object.values(held(harness)).flat())).toEqual(new Set(['0', '1', '2', '3']));
});

test('without room beside it an update comes after what serves; without any, nothing is begun', async () => {
  const harness = prepared();
  const one = await serving(harness, 'one', 1);
  await serving(harness, 'two', 2);
  await serving(harness, 'last', 1);
  const full = 'the container host one has 0 of its 4 GPUs free, and 1 are asked for';
  await expect(harness.containers.create(ANN, 'acme', wanted('more', 1))).rejects.toMatchObject({
    code: 'overloaded',
    publicMessage: full,
  });
  const { container } = valueOf(await harness.containers.deploy(ANN, 'acme', one, { tag: 'g1', start: false }));
  expect(container.update?.strategy).toBe('stop-first');
  await harness.settle();
  expect(harness.container(one)).toMatchObject({ status: 'ready', update: null });
  expect(held(harness)).toMatchObject({ one: ['0'] });
  await expect(harness.containers.deploy(ANN, 'acme', one, { tag: 'g2', start: false })).rejects.toMatchObject({ code: 'overloaded' });
  expect(harness.container(one)).toMatchObject({ status: 'ready', update: null });
  const { id } = valueOf(await harness.containers.create(ANN, 'acme', wanted('instead', 1, one))).container;
  await harness.settle();
  expect(harness.container(id)).toMatchObject({ status: 'ready' });
  expect(held(harness)).toMatchObject({ instead: ['0'] });
});

test('a unit sees its deployment’s GPUs only, and a request may not ask for fewer than it names', async () => {
  const harness = prepared();
  const units = [unitOf('web', { gpus: ['1'] }), unitOf('side', { gpus: 1 }), unitOf('none')];
  harness.releases.set('named', { config: configOf({ gpus: 2, units }) });
  await serving(harness, 'first', 1);
  const refused = await harness.containers.create(ANN, 'acme', { ...wanted('named', 0), tag: 'named', gpus: 1 });
  expect(refused.ok ? null : refused.rejection).toMatchObject({
    code: 'invalid_request',
    field: 'gpus',
    message: 'gpus must be at least 2: the container web of the configuration has so many',
  });
  valueOf(await harness.containers.create(ANN, 'acme', { ...wanted('named', 0), tag: 'named' }));
  await harness.settle();
  const of = (unit: string): readonly string[] | null | undefined =>
    [...harness.engine.units.values()].find(({ spec }) => spec.unit === unit && spec.allottedGpus.length === 2)?.spec.gpus;
  expect([of('web'), of('side'), of('none')]).toEqual([['2'], ['1'], null]);
});

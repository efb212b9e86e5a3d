import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/core/rejection.ts';
import type { NewContainer } from '../../src/app/containers/deploy-container.ts';
import { ANN, configOf, makeContainerHarness, unitOf, type ContainerHarness } from '../support/container-harness.ts';

const NEW: NewContainer = {
  name: 'web',
  repo: 'acme/web',
  tag: 'v1',
  place: { groupName: null, groupOrder: 0, displayOrder: 0 },
  replaces: null,
  createdBy: 'ann',
};

const HOST = 'web.acme.containers.localhost';

function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.rejection.message);
  return outcome.value;
}

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.rejection.code);

async function created(harness: ContainerHarness, changes: Partial<NewContainer> = {}): Promise<string> {
  const { container } = valueOf(await harness.containers.create(ANN, 'acme', { ...NEW, ...changes }));
  return container.id;
}

/** Ids of the deployments that have units on the engine. */
const running = ({ engine }: ContainerHarness): Set<string | null> =>
  new Set([...engine.units.values()].map(({ spec }) => spec.owner.deployment));

describe('one container', () => {
  test('is deployed, serves under its own name, and leaves nothing when it is deleted', async () => {
    const harness = makeContainerHarness();
    const id = await created(harness);
    expect(harness.container(id)?.status).toBe('deploying');
    await harness.settle();
    const container = harness.container(id);
    expect(container?.status).toBe('ready');
    expect(harness.routes.find(HOST)).toMatchObject({ containerId: id, ...container?.current.endpoint });
    valueOf(await harness.containers.remove(ANN, 'acme', id));
    expect(codeOf(await harness.containers.find('acme', id))).toBe('not_found');
    await harness.settle();
    expect(harness.container(id)).toBeUndefined();
    expect(harness.engine.units.size + harness.engine.networks.size + harness.engine.images.size).toBe(0);
    expect(harness.routes.find(HOST)).toBeUndefined();
  });

  test('is updated beside the one that serves, which goes once what it serves has ended', async () => {
    const harness = makeContainerHarness();
    const id = await created(harness);
    await harness.settle();
    const before = harness.container(id)?.current;
    harness.releases.set('v2', {});
    harness.open.set(before?.id ?? '', 1);
    const { container } = valueOf(await harness.containers.deploy(ANN, 'acme', id, { tag: 'v2', start: false }));
    expect(container).toMatchObject({ status: 'ready', current: { tag: 'v1' }, update: { tag: 'v2', state: 'pending' } });
    for (let looks = 0; looks < 20 && harness.container(id)?.update !== null; looks += 1) await harness.look();
    expect(harness.container(id)).toMatchObject({
      current: { tag: 'v2', state: 'serving' },
      update: null,
      retired: [{ state: 'draining' }],
    });
    expect(harness.routes.find(HOST)).toMatchObject({
      deploymentId: harness.container(id)?.current.id,
      fallback: { deploymentId: before?.id },
    });
    expect(running(harness)).toContain(before?.id);
    harness.open.clear();
    await harness.settle();
    expect(running(harness)).toEqual(new Set([harness.container(id)?.current.id]));
    expect(harness.container(id)?.retired).toEqual([]);
  });

  test('goes on with what serves where its update fails, and says why', async () => {
    const harness = makeContainerHarness();
    const id = await created(harness);
    await harness.settle();
    harness.releases.set('v2', { config: configOf({ units: [unitOf('web', { image: `ghcr.io/acme/broken@sha256:${'b'.repeat(64)}` })] }) });
    harness.engine.behave = ({ image }) => (image.repository === 'acme/broken' ? { state: 'exited', exitCode: 3 } : {});
    valueOf(await harness.containers.deploy(ANN, 'acme', id, { tag: 'v2', start: false }));
    await harness.settle();
    expect(harness.container(id)).toMatchObject({
      status: 'ready',
      current: { tag: 'v1', state: 'serving' },
      update: { state: 'failed', errorMessage: 'the container web ended with exit code 3' },
    });
    expect(running(harness)).toEqual(new Set([harness.container(id)?.current.id]));
    expect(harness.engine.images.size).toBe(1);
    expect(codeOf(await harness.containers.cancel(ANN, 'acme', id))).toBe('ok');
    expect(harness.container(id)?.update).toBeNull();
  });

  test('is updated after the one that serves where two cannot run at a time; its update is not cancelled then', async () => {
    const harness = makeContainerHarness();
    const id = await created(harness, { gpus: 2 });
    await harness.settle();
    const before = harness.container(id)?.current.id;
    harness.releases.set('v2', { config: configOf({ units: [unitOf('web', { image: `ghcr.io/acme/next@sha256:${'b'.repeat(64)}` })] }) });
    harness.open.set(before ?? '', 1);
    valueOf(await harness.containers.deploy(ANN, 'acme', id, { tag: 'v2', start: false }));
    for (let looks = 0; looks < 20 && harness.container(id)?.status === 'ready'; looks += 1) await harness.look();
    expect(harness.container(id)).toMatchObject({ status: 'deploying', current: { tag: 'v1', state: 'draining' }, update: { tag: 'v2' } });
    expect(codeOf(await harness.containers.cancel(ANN, 'acme', id))).toBe('invalid_transition');
    harness.open.clear();
    await harness.settle();
    expect(harness.container(id)).toMatchObject({ status: 'ready', current: { tag: 'v2', state: 'serving', gpus: 2 }, update: null });
    const order = harness.engine.done.filter((step) => !step.startsWith('pull'));
    expect(order.findIndex((step) => step.startsWith('remove'))).toBeLessThan(order.findLastIndex((step) => step.startsWith('create')));
    // What it needs from elsewhere was there before the other one went.
    expect(harness.engine.done.findIndex((step) => step.includes('acme/next'))).toBeLessThan(
      harness.engine.done.findIndex((step) => step.startsWith('remove')),
    );
  });

  test('holds an update that is ready until it is accepted, and shows it under a name of its own', async () => {
    const harness = makeContainerHarness();
    const id = await created(harness, { staging: true });
    await harness.settle();
    valueOf(await harness.containers.deploy(ANN, 'acme', id, { variables: { MODE: 'b' }, start: false }));
    await harness.settle();
    const held = harness.container(id);
    expect(held).toMatchObject({ status: 'ready', current: { state: 'serving' }, update: { state: 'ready' } });
    await harness.routes.refresh();
    expect(harness.routes.find(HOST)?.deploymentId).toBe(held?.current.id);
    expect(harness.routes.find(`staging.${HOST}`)?.deploymentId).toBe(held?.update?.id);
    valueOf(await harness.containers.accept(ANN, 'acme', id));
    await harness.settle();
    expect(harness.container(id)).toMatchObject({ current: { variables: { MODE: 'b' }, tag: 'v1' }, update: null, retired: [] });
    expect(codeOf(await harness.containers.accept(ANN, 'acme', id))).toBe('invalid_transition');
  });

  test('takes the place of another of its name once it serves', async () => {
    const harness = makeContainerHarness();
    const before = await created(harness);
    await harness.settle();
    expect(codeOf(await harness.containers.create(ANN, 'acme', NEW))).toBe('conflict');
    const id = await created(harness, { replaces: before });
    expect(harness.routes.find(HOST)?.containerId).toBe(before);
    await harness.settle();
    expect(harness.container(before)).toBeUndefined();
    expect(harness.container(id)).toMatchObject({ status: 'ready', replaces: null });
    expect(harness.routes.find(HOST)?.containerId).toBe(id);
    expect((await harness.containers.list('acme')).map(({ container }) => container.id)).toEqual([id]);
  });

  test('takes the place of another with GPUs only once these are free', async () => {
    const harness = makeContainerHarness();
    const before = await created(harness, { gpus: 4 });
    await harness.settle();
    const id = await created(harness, { gpus: 4, replaces: before });
    await harness.settle();
    expect(harness.container(before)).toBeUndefined();
    expect(harness.container(id)?.status).toBe('ready');
    const steps = harness.engine.done.filter((step) => !step.startsWith('pull'));
    expect(steps.map((step) => step.split(' ', 1)[0])).toEqual(['create', 'start', 'remove', 'create', 'start']);
  });

  test('stops, starts again with what was changed, and is deployed again after a failure', async () => {
    const harness = makeContainerHarness();
    const id = await created(harness);
    await harness.settle();
    expect(codeOf(await harness.containers.deploy(ANN, 'acme', id, { start: true }))).toBe('invalid_transition');
    expect(valueOf(await harness.containers.stop(ANN, 'acme', id)).container.status).toBe('stopping');
    await harness.settle();
    expect(harness.container(id)?.status).toBe('stopped');
    expect(harness.engine.units.size).toBe(0);
    expect(codeOf(await harness.containers.stop(ANN, 'acme', id))).toBe('invalid_transition');
    harness.deaf.add('acme/web');
    valueOf(await harness.containers.deploy(ANN, 'acme', id, { variables: { A: '1' }, start: true }));
    await harness.settle();
    expect(harness.container(id)).toMatchObject({
      status: 'failed',
      current: { errorMessage: 'the container web did not answer HTTP on port 80 within 5 s' },
    });
    expect(harness.engine.units.size).toBe(0);
    harness.deaf.clear();
    valueOf(await harness.containers.deploy(ANN, 'acme', id, { start: false }));
    await harness.settle();
    expect(harness.container(id)).toMatchObject({ status: 'ready', current: { variables: { A: '1' } } });
  });

  test('comes back where its host lost it, and is reached where it is now', async () => {
    const harness = makeContainerHarness();
    const id = await created(harness);
    await harness.settle();
    const before = harness.container(id)?.current.endpoint;
    harness.engine.restart();
    await harness.settle();
    const after = harness.container(id)?.current.endpoint;
    expect(after).not.toEqual(before);
    expect(harness.routes.find(HOST)).toMatchObject({ port: after?.port });
    harness.engine.units.clear();
    await harness.settle();
    expect(harness.container(id)).toMatchObject({ status: 'ready' });
    expect(harness.engine.units.size).toBe(1);
  });

  test('comes up where the engine goes on refusing to start a unit whose start was cut', async () => {
    const harness = makeContainerHarness();
    const id = await created(harness);
    const stuck = new Set<string>();
    harness.engine.fault = (step) => {
      if (step !== 'startUnit') return null;
      const [unit = ''] = harness.engine.units.keys();
      if (stuck.size === 0) stuck.add(unit);
      return stuck.has(unit) ? { kind: 'failed' } : null;
    };
    await harness.settle();
    expect(harness.container(id)).toMatchObject({ status: 'ready' });
    expect(harness.engine.units.size).toBe(1);
  });

  test('is cut when what it served does not end in its time', async () => {
    const harness = makeContainerHarness();
    const id = await created(harness);
    await harness.settle();
    const before = harness.container(id)?.current.id ?? '';
    harness.open.set(before, 1);
    valueOf(await harness.containers.deploy(ANN, 'acme', id, { start: false }));
    for (let looks = 0; looks < 40 && harness.open.has(before); looks += 1) {
      await harness.look();
      harness.advance(5000);
    }
    await harness.settle();
    expect(harness.open.has(before)).toBe(false);
    expect(running(harness)).toEqual(new Set([harness.container(id)?.current.id]));
  });
});

describe('what a tenant may do', () => {
  test.each([
    ['payment_required', { containerSubscription: false }, {}],
    ['forbidden', { maxContainers: 0 }, {}],
    ['forbidden', { gpuAccess: false }, { gpus: 1 }],
    ['forbidden', { maxGpus: 1 }, { gpus: 2 }],
    ['forbidden', { hostChoice: false }, { hostName: 'one' }],
    ['invalid_request', {}, { gpus: 3 }],
    ['invalid_request', {}, { name: 'Web' }],
    ['invalid_request', {}, { variables: { 'A B': 'x' } }],
    ['invalid_request', {}, { customDomain: 'web.example.com' }],
    ['invalid_request', {}, { sshKeys: ['k'] }],
    ['not_found', {}, { sshKeys: ['k'], debug: true }],
    ['not_found', {}, { tag: 'v9' }],
    ['not_found', {}, { hostName: 'two' }],
    ['not_found', {}, { replaces: '550e8400-e29b-41d4-a716-446655440000' }],
  ] as const)('is refused as %s with %o and %o, and nothing is made', async (code, entitlements, changes) => {
    const harness = makeContainerHarness();
    const tenant = harness.store.tables.records.get('tenant acme') as { entitlements: object };
    harness.store.tables.records.set('tenant acme', { ...tenant, entitlements: { ...tenant.entitlements, ...entitlements } } as never);
    expect(codeOf(await harness.containers.create(ANN, 'acme', { ...NEW, ...changes }))).toBe(code);
    expect(await harness.containers.list('acme')).toEqual([]);
  });

  test('a debug container may have the name of another, and a change of mode may not take one', async () => {
    const harness = makeContainerHarness();
    await created(harness);
    const debug = await created(harness, { debug: true });
    await harness.settle();
    expect(harness.routes.find('web.debug.acme.containers.localhost')?.containerId).toBe(debug);
    expect(codeOf(await harness.containers.deploy(ANN, 'acme', debug, { debug: false, start: false }))).toBe('conflict');
  });

  test('containers of others are not there', async () => {
    const harness = makeContainerHarness();
    const id = await created(harness);
    expect(codeOf(await harness.containers.find('other', id))).toBe('not_found');
    expect(codeOf(await harness.containers.stop(ANN, 'other', id))).toBe('not_found');
    expect(codeOf(await harness.containers.remove(ANN, 'other', id))).toBe('not_found');
  });
});

test('a release is checked in the place of a container of one’s own only', async () => {
  const harness = makeContainerHarness();
  const id = await created(harness);
  const check = (inPlaceOf: string | null) => harness.containers.checkRelease('acme', { repo: 'acme/web', tag: 'v1', inPlaceOf });
  expect(codeOf(await check(id))).toBe('ok');
  expect(codeOf(await check('11111111-2222-4333-8444-555555555555'))).toBe('not_found');
  expect(codeOf(await check('nobody'))).toBe('not_found');
});

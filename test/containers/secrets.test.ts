import { describe, expect, test } from 'vitest';
import type { NewContainer } from '../../src/app/containers/deploy-container.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import type { RegistryAuth } from '../../src/ports/container-engine.ts';
import { ACME, ANN, configOf, makeContainerHarness, unitOf, type ContainerHarness } from '../support/container-harness.ts';

const NEW: NewContainer = {
  name: 'web',
  repo: 'acme/web',
  tag: 'v1',
  secrets: ['API_KEY', 'UNUSED'],
  place: { groupName: null, groupOrder: 0, displayOrder: 0 },
  replaces: null,
  createdBy: 'ann',
};
const VALUE = 'sk-plain-value';
const NO_CREDENTIALS = { username: null, token: null, key: null };

function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.rejection.message);
  return outcome.value;
}

/** A tenant with two secrets, and a tag whose one unit takes the first of them. */
async function prepared(): Promise<ContainerHarness> {
  const harness = makeContainerHarness();
  harness.releases.set('v1', { config: configOf({ units: [unitOf('web', { secrets: ['API_KEY'] })] }) });
  valueOf(await harness.secrets.create(ANN, 'acme', { name: 'API_KEY', value: VALUE }));
  valueOf(await harness.secrets.create(ANN, 'acme', { name: 'UNUSED', value: 'other' }));
  return harness;
}

const created = async (harness: ContainerHarness, changes: Partial<NewContainer> = {}): Promise<string> =>
  valueOf(await harness.containers.create(ANN, 'acme', { ...NEW, ...changes })).container.id;

const environments = ({ engine }: ContainerHarness) => [...engine.units.values()].map(({ spec }) => spec.env);
const rowsOf = ({ store }: ContainerHarness): string =>
  JSON.stringify([[...store.tables.records], store.tables.events, store.tables.audit]);
const isStale = async (harness: ContainerHarness, id: string): Promise<boolean> =>
  valueOf(await harness.containers.find('acme', id)).entry.staleSinceMs !== null;

describe('secrets of a container', () => {
  test('reach the units that declare them and no other, and stand nowhere in the clear', async () => {
    const harness = await prepared();
    await created(harness);
    await harness.settle();
    expect(JSON.stringify(environments(harness))).toContain(VALUE);
    expect(JSON.stringify(environments(harness))).not.toContain('other');
    expect(rowsOf(harness)).not.toContain(VALUE);
  });

  test('must be there', async () => {
    const harness = await prepared();
    for (const name of ['NONE', 'no name\u0000', '../acme', 'x'.repeat(5000)]) {
      const outcome = await harness.containers.create(ANN, 'acme', { ...NEW, secrets: ['API_KEY', name] });
      expect(outcome).toMatchObject({ ok: false, rejection: { code: 'not_found' } });
    }
    const many = Array.from({ length: 300 }, (_, n) => `S${n}`);
    expect(await harness.containers.create(ANN, 'acme', { ...NEW, secrets: many })).toMatchObject({
      rejection: { code: 'invalid_request', field: 'secrets' },
    });
    expect(harness.engine.units.size).toBe(0);
  });

  test('keep it from being deleted, under the names of the containers, until it is used no more', async () => {
    const harness = await prepared();
    const id = await created(harness);
    await created(harness, { name: 'other', secrets: ['API_KEY'] });
    await harness.settle();
    expect(valueOf(await harness.secrets.find('acme', 'API_KEY')).usedBy).toEqual(['other', 'web']);
    expect(await harness.secrets.remove(ANN, 'acme', 'API_KEY')).toMatchObject({
      rejection: { code: 'conflict', message: 'secret is in use by: other, web', details: { containers: ['other', 'web'] } },
    });
    valueOf(await harness.containers.deploy(ANN, 'acme', id, { secrets: ['API_KEY'], start: false }));
    // The one that serves uses it until the update has taken over.
    expect(await harness.secrets.remove(ANN, 'acme', 'UNUSED')).toMatchObject({ rejection: { code: 'conflict' } });
    await harness.settle();
    valueOf(await harness.secrets.remove(ANN, 'acme', 'UNUSED'));
    expect((await harness.secrets.list('acme')).map(({ name }) => name)).toEqual(['API_KEY']);
  });

  test('that get another value make their containers stale and restart nothing; a relaunch brings the new one', async () => {
    const harness = await prepared();
    const id = await created(harness);
    const other = await created(harness, { name: 'other', secrets: [] });
    await harness.settle();
    const done = harness.engine.done.length;
    valueOf(await harness.secrets.update(ANN, 'acme', { name: 'API_KEY', value: 'second value' }));
    await harness.settle();
    expect(harness.engine.done).toHaveLength(done);
    expect([await isStale(harness, id), await isStale(harness, other)]).toEqual([true, false]);
    expect(JSON.stringify(environments(harness))).not.toContain('second value');
    valueOf(await harness.containers.deploy(ANN, 'acme', id, { start: false }));
    await harness.settle();
    expect(await isStale(harness, id)).toBe(false);
    expect(JSON.stringify(environments(harness))).toContain('second value');
  });

  test('of two that are the first at the same time both open afterwards', async () => {
    const harness = makeContainerHarness();
    const names = ['A', 'B', 'C', 'D'];
    await Promise.all(names.map(async (name) => valueOf(await harness.secrets.create(ANN, 'acme', { name, value: `value of ${name}` }))));
    harness.releases.set('v1', { config: configOf({ units: [unitOf('web', { secrets: names })] }) });
    await created(harness, { secrets: names });
    await harness.settle();
    for (const name of names) expect(JSON.stringify(environments(harness))).toContain(`value of ${name}`);
    expect([...harness.store.tables.records.keys()].filter((key) => key.startsWith('tenant-key'))).toEqual(['tenant-key acme']);
  });
});

describe('credentials of a registry', () => {
  test('open it; one that it refuses is told as expired until new ones are given', async () => {
    const harness = await prepared();
    const seen: (RegistryAuth | null)[] = [];
    const expired = async () => valueOf(await harness.registries.status('acme')).get('ghcr')?.refusedAtMs;
    harness.engine.registry = (auth) => {
      seen.push(auth);
      return auth?.password === 'good' ? null : 401;
    };
    valueOf(await harness.registries.put(ANN, 'acme', 'ghcr', { ...NO_CREDENTIALS, username: 'ann', token: 'old' }));
    expect(await expired()).toBeNull();
    const id = await created(harness);
    await harness.settle();
    expect(harness.container(id)).toMatchObject({ status: 'failed' });
    expect(await expired()).toBeGreaterThan(0);
    const told = harness.store.tables.events.filter(({ type }) => type.startsWith('registry_credential.'));
    expect(told.map(({ type }) => type)).toEqual(['registry_credential.updated', 'registry_credential.expired']);
    expect(harness.store.tables.audit.filter(({ operation }) => operation === 'registry_credential.expired')).toHaveLength(1);
    valueOf(await harness.registries.put(ANN, 'acme', 'ghcr', { ...NO_CREDENTIALS, username: 'ann', token: 'good' }));
    expect(await expired()).toBeNull();
    valueOf(await harness.containers.deploy(ANN, 'acme', id, { start: false }));
    await harness.settle();
    expect(harness.container(id)).toMatchObject({ status: 'ready' });
    expect([seen[0], seen.at(-1)]).toEqual([
      { username: 'ann', password: 'old' },
      { username: 'ann', password: 'good' },
    ]);
    expect(rowsOf(harness)).not.toMatch(/"old"|"good"/);
  });

  test('that were replaced while the registry looked at the ones before are not told as expired', async () => {
    const harness = await prepared();
    valueOf(await harness.registries.put(ANN, 'acme', 'ghcr', { ...NO_CREDENTIALS, username: 'ann', token: 'old' }));
    const replaced: Promise<unknown>[] = [];
    harness.engine.registry = () => {
      const next = harness.registries.put(ANN, 'acme', 'ghcr', { ...NO_CREDENTIALS, username: 'ann', token: 'new' });
      replaced.push(next);
      return 403;
    };
    await created(harness, { secrets: [] });
    await harness.look();
    expect(replaced.length).toBeGreaterThan(0);
    await Promise.all(replaced);
    expect(valueOf(await harness.registries.status('acme')).get('ghcr')).toMatchObject({ username: 'ann', refusedAtMs: null });
  });

  test('of Google are told under the name that its registries know', async () => {
    const harness = await prepared();
    const key = JSON.stringify({ type: 'service_account', client_email: 'a@b.example', private_key: 'pem' });
    valueOf(await harness.registries.put(ANN, 'acme', 'gcr', { ...NO_CREDENTIALS, key }));
    const seen: (RegistryAuth | null)[] = [];
    harness.engine.registry = (auth) => (seen.push(auth), null);
    const image = `gcr.io/acme/web@sha256:${'a'.repeat(64)}`;
    harness.releases.set('v1', { config: configOf({ units: [unitOf('web', { image })] }) });
    await created(harness, { secrets: [] });
    await harness.settle();
    expect(seen).toEqual([{ username: '_json_key', password: key }]);
  });

  test('of a tenant that may no longer use private registries are kept and not used', async () => {
    const harness = await prepared();
    valueOf(await harness.registries.put(ANN, 'acme', 'ghcr', { ...NO_CREDENTIALS, username: 'ann', token: 'good' }));
    harness.store.tables.records.set('tenant acme', { ...ACME, entitlements: { ...ACME.entitlements, privateRegistries: false } });
    const seen: (RegistryAuth | null)[] = [];
    harness.engine.registry = (auth) => (seen.push(auth), null);
    await created(harness);
    await harness.settle();
    expect(seen).toEqual([null]);
    expect(await harness.registries.status('acme')).toMatchObject({ rejection: { code: 'forbidden' } });
  });
});

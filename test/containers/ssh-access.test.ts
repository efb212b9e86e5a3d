import { describe, expect, test } from 'vitest';
import type { NewContainer } from '../../src/app/containers/deploy-container.ts';
import { makeSshAccess } from '../../src/app/containers/ssh-access.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import type { UnitExec } from '../../src/ports/container-engine.ts';
import type { SshAccess } from '../../src/ports/ssh-access.ts';
import { makeCountingIds, makeMemoryLog } from '../support/fakes.ts';
import { ANN, configOf, makeContainerHarness, unitOf, type ContainerHarness } from '../support/container-harness.ts';
import { ED25519_FINGERPRINT, ED25519_KEY, RSA_KEY } from '../support/ssh-keys.ts';

const NEW: NewContainer = {
  name: 'web',
  repo: 'acme/web',
  tag: 'v1',
  sshKeys: ['laptop'],
  debug: true,
  place: { groupName: null, groupOrder: 0, displayOrder: 0 },
  replaces: null,
  createdBy: 'ann',
};

function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.rejection.message);
  return outcome.value;
}

/** A debug container of two units and another one of the same name, with two keys of which the first opens it. */
async function prepared(): Promise<{ readonly harness: ContainerHarness; readonly access: SshAccess; readonly id: string }> {
  const harness = makeContainerHarness();
  harness.releases.set('v1', { config: configOf({ units: [unitOf('web'), unitOf('side')] }) });
  valueOf(await harness.sshKeys.create(ANN, 'acme', { name: 'laptop', publicKey: ED25519_KEY }));
  valueOf(await harness.sshKeys.create(ANN, 'acme', { name: 'desk', publicKey: RSA_KEY }));
  valueOf(await harness.containers.create(ANN, 'acme', { ...NEW, debug: false, sshKeys: [] }));
  const { id } = valueOf(await harness.containers.create(ANN, 'acme', NEW)).container;
  const access = makeSshAccess({
    records: harness.store,
    writer: {
      execute: () => {
        throw new Error('nothing is to be written');
      },
    },
    ids: makeCountingIds(),
    hosts: [{ name: 'one', address: '127.0.0.1', gpus: [], gpuDevices: [], isDefault: true, gpuProbe: null, engine: harness.engine }],
    log: makeMemoryLog(),
  });
  return { harness, access, id };
}

describe('what a user name leads to', () => {
  test('is the debug container of that name or id, and the unit that serves or the one that is named', async () => {
    const { harness, access, id } = await prepared();
    expect(await access.candidates('web.acme')).toEqual([]);
    await harness.settle();
    const { deploymentId } = (await access.candidates('web.acme'))[0]?.grant ?? { deploymentId: '' };
    expect(harness.container(id)?.current.id).toBe(deploymentId);
    const opened = {
      grant: { tenantId: 'acme', containerId: id, deploymentId, unit: 'web', keyName: 'laptop', sshKeyId: expect.any(String) as string },
      publicKey: ED25519_KEY.split(' ').slice(0, 2).join(' '),
      fingerprint: ED25519_FINGERPRINT,
      hostName: 'one',
    };
    for (const user of ['web.acme', id, 'web.acme+web']) expect(await access.candidates(user)).toEqual([opened]);
    expect(await access.candidates(`${id}+side`)).toEqual([{ ...opened, grant: { ...opened.grant, unit: 'side' } }]);
    for (const user of ['web.other', 'other.acme', 'web.acme+none', 'web', 'root', '']) expect(await access.candidates(user)).toEqual([]);
  });

  test('can be looked into while it does not get ready, and not once it has failed', async () => {
    const { harness, access, id } = await prepared();
    harness.deaf.add('acme/web');
    for (let looks = 0; looks < 100 && harness.container(id)?.current.state !== 'started'; looks += 1) await harness.look();
    expect(await access.candidates('web.acme')).toHaveLength(1);
    await harness.settle();
    expect([harness.container(id)?.status, await access.candidates('web.acme')]).toEqual(['failed', []]);
  });

  test('starts processes in that unit of that deployment', async () => {
    const { harness, access } = await prepared();
    await harness.settle();
    const [candidate] = await access.candidates('web.acme+side');
    if (candidate === undefined) throw new Error('nobody is let in');
    const exec = {} as UnitExec;
    harness.engine.runProcess = () => exec;
    const spec = { command: ['true'], env: [], hasTerminal: false };
    expect(await access.start(candidate, spec)).toBe(exec);
    expect(harness.engine.done.at(-1)).toBe(`exec castellan-${candidate.grant.deploymentId}-side`);
    await expect(access.start({ ...candidate, hostName: 'gone' }, spec)).rejects.toMatchObject({ kind: 'gone' });
    const elsewhere = { ...candidate, grant: { ...candidate.grant, unit: 'none' } };
    await expect(access.start(elsewhere, spec)).rejects.toMatchObject({ kind: 'gone' });
  });

  test('is nothing while the tenant is suspended', async () => {
    const { harness, access } = await prepared();
    await harness.settle();
    const [candidate] = await access.candidates('web.acme');
    if (candidate === undefined) throw new Error('nobody is let in');
    expect(await access.refusal(candidate.grant)).toBeNull();
    const tenant = harness.store.tables.records.get('tenant acme') as object;
    harness.store.tables.records.set('tenant acme', { ...tenant, status: 'SUSPENDED' } as never);
    expect([await access.candidates('web.acme'), await access.refusal(candidate.grant)]).toEqual([[], 'tenant']);
  });
});

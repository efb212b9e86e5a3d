import { describe, expect, test } from 'vitest';
import type { NewContainer } from '../../src/app/containers/deploy-container.ts';
import type { Outcome } from '../../src/core/rejection.ts';
import { ED25519_KEY, RSA_KEY } from '../support/ssh-keys.ts';
import { ANN, makeContainerHarness, type ContainerHarness } from '../support/container-harness.ts';

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

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.rejection.code);

async function prepared(): Promise<ContainerHarness> {
  const harness = makeContainerHarness();
  valueOf(await harness.sshKeys.create(ANN, 'acme', { name: 'laptop', publicKey: ED25519_KEY }));
  valueOf(await harness.sshKeys.create(ANN, 'acme', { name: 'desk', publicKey: RSA_KEY }));
  return harness;
}

describe('SSH keys of a container', () => {
  test('must be there, whatever is asked for', async () => {
    const harness = await prepared();
    for (const name of ['none', 'No\u0000Name', '../acme', 'x'.repeat(5000)]) {
      const outcome = await harness.containers.create(ANN, 'acme', { ...NEW, sshKeys: ['laptop', name] });
      expect(codeOf(outcome)).toBe('not_found');
      expect(JSON.stringify(outcome).length).toBeLessThan(500);
    }
    const { container } = valueOf(await harness.containers.create(ANN, 'acme', NEW));
    expect(container.current.sshKeys).toEqual(['laptop']);
  });

  test('are kept while a deployment or its update names them, and may be deleted after', async () => {
    const harness = await prepared();
    const remove = async (name: string): Promise<string> => codeOf(await harness.sshKeys.remove(ANN, 'acme', name));
    const { container } = valueOf(await harness.containers.create(ANN, 'acme', NEW));
    await harness.settle();
    expect([await remove('laptop'), (await harness.sshKeys.list('acme')).map(({ usedBy }) => usedBy)]).toEqual(['conflict', [[], ['web']]]);
    valueOf(await harness.containers.deploy(ANN, 'acme', container.id, { sshKeys: ['desk'], start: false }));
    expect([await remove('laptop'), await remove('desk')]).toEqual(['conflict', 'conflict']);
    await harness.settle();
    expect([await remove('laptop'), await remove('desk')]).toEqual(['ok', 'conflict']);
    valueOf(await harness.containers.remove(ANN, 'acme', container.id));
    await harness.settle();
    expect([await remove('desk'), await remove('desk')]).toEqual(['ok', 'not_found']);
  });
});

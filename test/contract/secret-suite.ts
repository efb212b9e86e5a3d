import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { CredentialRegistry } from '../../src/core/containers/secret-records.ts';
import type { Command } from '../../src/core/verbs.ts';
import { makeCommands, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestStore } from './test-store.ts';

/** Secrets of tenants, and what opens registries for them. */
export function describeSecrets(makeStore: MakeStore): void {
  describe('secrets and credentials of registries', () => {
    let at: TestStore;
    let commands: CommandMaker;

    beforeEach(async () => {
      at = await makeStore({ clock: makeTestClock() });
      commands = makeCommands();
      await execute(commands.createTenant('acme'), commands.createTenant('acme-2'));
    });
    afterEach(() => at.destroy());

    const execute = async (...batch: Command[]): Promise<string[]> => {
      const { outcomes } = await at.store.execute(commands.id('batch'), batch, 0);
      return outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.rejection.code));
    };
    const sealed = (keyId: string, isFirst: boolean) => ({
      keyId,
      newKeySealed: isFirst ? `sealed ${keyId}` : null,
      sealed: `by ${keyId}`,
    });
    const create = (tenantId: string, name: string, value = sealed(`key of ${tenantId}`, true)): Command => ({
      verb: 'create-secret',
      id: commands.id('cmd'),
      tenantId,
      secretId: commands.id('sec'),
      name,
      value,
    });
    const put = (tenantId: string, registry: CredentialRegistry): Command => ({
      verb: 'put-registry-credential',
      id: commands.id('cmd'),
      tenantId,
      registry,
      username: 'ann',
      password: sealed(`key of ${tenantId}`, true),
    });
    const namesOf = async (tenantId: string): Promise<string[]> => (await at.store.records('secret', tenantId)).map(({ name }) => name);

    test("are listed by name, and a tenant's own only", async () => {
      expect(await execute(create('acme', 'B'), create('acme-2', 'A'), create('acme', 'a'), create('acme', 'A'))).toEqual([
        'ok',
        'ok',
        'ok',
        'ok',
      ]);
      expect([await namesOf('acme'), await namesOf('acme-2'), await namesOf('none')]).toEqual([['A', 'B', 'a'], ['A'], []]);
      expect(await execute(put('acme', 'ghcr'), put('acme-2', 'gcr'))).toEqual(['ok', 'ok']);
      expect((await at.store.records('registry-credential', 'acme')).map(({ registry }) => registry)).toEqual(['ghcr']);
      expect(await at.store.record('tenant-key', 'acme')).toMatchObject({ keyId: 'key of acme', secretCount: 3 });
    });

    test('of two first keys the one that is kept is the only one', async () => {
      expect(await execute(create('acme', 'A', sealed('one', true)), create('acme', 'B', sealed('two', true)))).toEqual([
        'ok',
        'stale_view',
      ]);
      expect(await execute(create('acme', 'B', sealed('two', true)), create('acme', 'B', sealed('one', false)))).toEqual([
        'stale_view',
        'ok',
      ]);
      expect(await execute(create('acme-2', 'A', sealed('none', false)))).toEqual(['stale_view']);
      expect(await at.store.record('tenant-key', 'acme')).toMatchObject({ keyId: 'one', keySealed: 'sealed one' });
      expect(await at.store.record('tenant-key', 'acme-2')).toBeUndefined();
    });

    test('are the same after the store was opened again, and gone once they are deleted', async () => {
      await execute(create('acme', 'A'), put('acme', 'ghcr'));
      at = await at.reopen();
      expect(await at.store.record('secret', 'acme/A')).toMatchObject({ name: 'A', valueSealed: 'by key of acme' });
      const base = { tenantId: 'acme' };
      const seen = { verb: 'note-registry-refusal', ...base, registry: 'ghcr', seenSealed: 'by key of acme' } as const;
      expect(await execute({ ...seen, id: commands.id('cmd') })).toEqual(['ok']);
      expect(await at.store.record('registry-credential', 'acme/ghcr')).toMatchObject({ refusedAtMs: expect.any(Number) as number });
      expect(
        await execute(
          { verb: 'delete-secret', ...base, id: commands.id('cmd'), name: 'A' },
          { verb: 'delete-registry-credential', ...base, id: commands.id('cmd'), registry: 'ghcr' },
        ),
      ).toEqual(['ok', 'ok']);
      expect([await namesOf('acme'), await at.store.records('registry-credential', 'acme')]).toEqual([[], []]);
      expect(await at.store.record('tenant-key', 'acme')).toMatchObject({ secretCount: 0, secretBytes: 0 });
    });
  });
}

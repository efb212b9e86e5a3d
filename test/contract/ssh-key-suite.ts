import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Command } from '../../src/core/verbs.ts';
import { makeCommands, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestStore } from './test-store.ts';

/** SSH keys of tenants. */
export function describeSshKeys(makeStore: MakeStore): void {
  describe('SSH keys', () => {
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
    const create = (tenantId: string, name: string): Command => ({
      verb: 'create-ssh-key',
      id: commands.id('cmd'),
      tenantId,
      sshKeyId: commands.id('ssh'),
      name,
      keyType: 'ssh-ed25519',
      publicKey: `ssh-ed25519 ${name}`,
      fingerprint: `SHA256:${name}`,
    });
    const remove = (tenantId: string, name: string): Command => ({ verb: 'delete-ssh-key', id: commands.id('cmd'), tenantId, name });
    const namesOf = async (tenantId: string): Promise<string[]> => (await at.store.records('ssh-key', tenantId)).map(({ name }) => name);

    test("are listed by name, a tenant's own only, and each name once, in one batch and after it", async () => {
      expect(await execute(create('acme', 'b'), create('acme-2', 'a'), create('acme', 'a'), create('acme', 'b'))).toEqual([
        'ok',
        'ok',
        'ok',
        'conflict',
      ]);
      expect(await execute(create('acme', 'a'))).toEqual(['conflict']);
      expect([await namesOf('acme'), await namesOf('acme-2'), await namesOf('none')]).toEqual([['a', 'b'], ['a'], []]);
    });

    test('are the same after the store was opened again, and gone once they are deleted', async () => {
      await execute(create('acme', 'a'));
      at = await at.reopen();
      expect(await at.store.record('ssh-key', 'acme/a')).toMatchObject({ name: 'a', keyType: 'ssh-ed25519', fingerprint: 'SHA256:a' });
      expect(await execute(remove('acme-2', 'a'), remove('acme', 'a'), remove('acme', 'a'))).toEqual(['not_found', 'ok', 'not_found']);
      expect(await namesOf('acme')).toEqual([]);
    });
  });
}

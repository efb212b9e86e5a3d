import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CONTAINER_LEASE } from '../../src/core/containers/container-records.ts';
import type { ShellGrant } from '../../src/core/containers/ssh-access.ts';
import type { OpenedSshSession } from '../../src/core/containers/ssh-commands.ts';
import { DEFAULT_ENTITLEMENTS } from '../../src/core/access/defaults.ts';
import { SYSTEM_TENANT } from '../../src/core/records.ts';
import type { Command } from '../../src/core/verbs.ts';
import { configOf } from '../support/container-harness.ts';
import { audited, makeCommands, type CommandMaker } from './commands.ts';
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

    test('open sessions where the grant holds, and both of their rows tell who and where', async () => {
      const containerId = '11111111-2222-4333-8444-555555555555';
      const base = (): { readonly id: string; readonly tenantId: string } => ({ id: commands.id('cmd'), tenantId: 'acme' });
      const spec = { tag: 'v1', commit: 'c', config: configOf(), variables: {}, secrets: [], sshKeys: ['a'], gpus: 0, debug: true };
      const place = { groupName: null, groupOrder: 0, displayOrder: 0 };
      const made = await execute(
        { verb: 'update-tenant', ...base(), entitlements: { ...DEFAULT_ENTITLEMENTS, containerSubscription: true } },
        { ...create('acme', 'a'), sshKeyId: 'ssh_1' } as Command,
        {
          verb: 'create-container',
          ...base(),
          containerId,
          deploymentId: 'dep_1',
          spec: { ...spec, dockerLog: false, customDomain: null, hostName: 'one' },
          runsTwice: true,
          name: 'web',
          repo: 'acme/web',
          staging: false,
          place,
          replaces: null,
          asksHost: false,
          createdBy: 'ann',
        },
        {
          verb: 'take-lease',
          id: commands.id('cmd'),
          tenantId: SYSTEM_TENANT,
          leaseId: CONTAINER_LEASE,
          ownerId: 'test',
          ttlMs: 1_000_000,
          isAlone: true,
        },
      );
      expect(made).toEqual(['ok', 'ok', 'ok', 'ok']);
      const grant: ShellGrant = { tenantId: 'acme', containerId, deploymentId: 'dep_1', unit: 'web', keyName: 'a', sshKeyId: 'ssh_1' };
      const open = (changes: Partial<ShellGrant> = {}, tenantId = 'acme') => {
        const wanted = { ...grant, ...changes };
        const command = { verb: 'open-ssh-session', ...base(), tenantId, sessionId: commands.id('s'), grant: wanted } as const;
        return audited({ ...command, kind: 'shell', hasTerminal: true });
      };
      // Nothing of it runs yet.
      expect(await execute(open())).toEqual(['forbidden']);
      const { token: fence = 0 } = (await at.store.record('lease', CONTAINER_LEASE)) ?? {};
      const progress = { type: 'started' } as const;
      await execute({ verb: 'advance-container', ...base(), containerId, deploymentId: 'dep_1', replaces: null, fence, progress });
      const { outcomes } = await at.store.execute(commands.id('batch'), [open()], 0);
      const [outcome] = outcomes;
      if (outcome?.ok !== true) throw new Error(JSON.stringify(outcome));
      const session = outcome.value as OpenedSshSession;
      const end = { reason: 'exit', exitCode: 3, bytesIn: 1, bytesOut: 2 };
      expect(await execute(audited({ verb: 'end-ssh-session', ...base(), session, end }))).toEqual(['ok']);
      const wrong = [open({ tenantId: 'acme-2' }), open({}, 'acme-2'), open({ unit: 'db' }), open({ deploymentId: 'dep_2' })];
      expect(await execute(...wrong, open({ sshKeyId: 'ssh_2' }), open({ keyName: 'b' }))).toEqual(
        wrong
          .concat(wrong)
          .slice(2)
          .map(() => 'forbidden'),
      );
      await execute({ verb: 'update-tenant', ...base(), status: 'SUSPENDED' });
      expect(await execute(open())).toEqual(['forbidden']);

      const rows = await at.raw("SELECT metadata FROM audit WHERE code IS NULL AND operation LIKE '%-ssh-session' ORDER BY no");
      const told = {
        container_id: containerId,
        container: 'web',
        unit: 'web',
        key_name: 'a',
        fingerprint: 'SHA256:a',
        kind: 'shell',
        terminal: true,
        started_at: expect.stringMatching(/Z$/) as string,
      };
      expect(rows.map(({ metadata }) => (typeof metadata === 'string' ? (JSON.parse(metadata) as object) : metadata))).toMatchObject([
        told,
        { ...told, ended_at: expect.stringMatching(/Z$/) as string, reason: 'exit', exit_code: 3, bytes_in: 1, bytes_out: 2 },
      ]);
    });
  });
}

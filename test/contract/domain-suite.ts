import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_TENANT } from '../../src/core/records.ts';
import type { Command } from '../../src/core/verbs.ts';
import { makeCommands, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const DOMAIN = 'api.example.com';
const DAY_MS = 86_400_000;

/** Domains of tenants: one tenant at a time has one verified. */
export function describeDomains(makeStore: MakeStore): void {
  describe('domains', () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;

    beforeEach(async () => {
      clock = makeTestClock();
      at = await makeStore({ clock });
      commands = makeCommands();
      await execute(commands.createTenant('acme'), commands.createTenant('globex'));
    });
    afterEach(() => at.destroy());

    const execute = async (...batch: Command[]): Promise<string[]> => {
      const { outcomes } = await at.store.execute(commands.id('batch'), batch, 0);
      return outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.rejection.code));
    };
    const base = (tenantId: string) => ({ id: commands.id('cmd'), tenantId });
    const create = (tenantId: string, nonce = tenantId, domain = DOMAIN): Command => ({
      verb: 'create-domain',
      ...base(tenantId),
      domainId: commands.id('dom'),
      domain,
      nonce,
      cnameHash: 'c'.repeat(32),
    });
    const claim = (claimantId: string, seenHolder: string | null, nonce = claimantId): Command => ({
      verb: 'claim-domain',
      ...base(SYSTEM_TENANT),
      domain: DOMAIN,
      claimantId,
      nonce,
      seenHolder,
    });
    const note = (tenantId: string, isProved: boolean, nonce = tenantId): Command => ({
      verb: 'note-domain-check',
      ...base(tenantId),
      domain: DOMAIN,
      nonce,
      isProved,
      lostAfterMs: DAY_MS,
    });
    const remove = (tenantId: string): Command => ({ verb: 'delete-domain', ...base(tenantId), domain: DOMAIN });
    const isVerified = async (tenantId: string): Promise<boolean | undefined> => {
      const domain = await at.store.record('domain', `${tenantId}/${DOMAIN}`);
      return domain === undefined ? undefined : domain.verifiedAtMs !== null;
    };
    const events = async (): Promise<string[]> =>
      (await at.raw("SELECT tenant_id, type FROM events WHERE type LIKE 'domain.%' ORDER BY seq")).map(
        (row) => `${String(row['tenant_id'])} ${String(row['type'])}`,
      );

    test('are listed by name; several may add one, and each only once', async () => {
      expect(await execute(create('acme'), create('globex'), create('acme'), create('acme', 'n', 'a.example.com'))).toEqual([
        'ok',
        'ok',
        'conflict',
        'ok',
      ]);
      expect((await at.store.records('domain', 'acme')).map(({ domain }) => domain)).toEqual(['a.example.com', DOMAIN]);
      expect((await at.store.records('domain', 'globex')).map(({ domain }) => domain)).toEqual([DOMAIN]);
      at = await at.reopen();
      expect(await isVerified('globex')).toBe(false);
    });

    test('are verified by whoever has the claim, which is one tenant\u2019s, also of two who prove it at once', async () => {
      await execute(create('acme'), create('globex'));
      expect(await execute(note('acme', true))).toEqual(['conflict']);
      expect(await execute(claim('acme', null), claim('globex', null))).toEqual(['ok', 'stale_view']);
      // Whoever has not verified it yet has no more right to it than the next one.
      expect(await execute(claim('globex', 'acme'), note('acme', true), note('globex', true))).toEqual(['ok', 'conflict', 'ok']);
      expect(await execute(claim('acme', 'globex'), claim('acme', null), note('acme', true))).toEqual([
        'conflict',
        'stale_view',
        'conflict',
      ]);
      expect([await isVerified('acme'), await isVerified('globex')]).toEqual([false, true]);
      expect(await events()).toEqual(['acme domain.created', 'globex domain.created', 'globex domain.verified']);
    });

    test('are lost when their proof is missing for long enough, and then free; a proof from before they were added anew is none', async () => {
      await execute(create('acme'), create('globex'), claim('acme', null), note('acme', true));
      await execute(note('acme', false));
      clock.set(clock.nowMs() + DAY_MS - 1);
      await execute(note('acme', false));
      expect(await isVerified('acme')).toBe(true);
      await execute(note('acme', true));
      clock.set(clock.nowMs() + DAY_MS);
      await execute(note('acme', false));
      expect(await isVerified('acme')).toBe(true);
      clock.set(clock.nowMs() + DAY_MS);
      expect(await execute(note('acme', false))).toEqual(['ok']);
      expect(await isVerified('acme')).toBe(false);
      expect(await execute(claim('globex', 'acme'), note('globex', true))).toEqual(['ok', 'ok']);
      expect(await execute(remove('acme'), create('acme', 'new'), claim('acme', 'globex'), note('acme', false))).toEqual([
        'ok',
        'ok',
        'not_found',
        'not_found',
      ]);
      expect(await isVerified('globex')).toBe(true);
      expect((await events()).slice(2)).toEqual([
        'acme domain.verified',
        'acme domain.lost',
        'globex domain.verified',
        'acme domain.deleted',
        'acme domain.created',
      ]);
    });

    test('that are deleted leave the claim to the next one, and only their own', async () => {
      await execute(create('acme'), create('globex'), claim('acme', null), note('acme', true));
      expect(await execute(remove('globex'))).toEqual(['ok']);
      expect((await at.store.record('domain-claim', DOMAIN))?.tenantId).toBe('acme');
      expect(await execute(remove('acme'), remove('acme'))).toEqual(['ok', 'not_found']);
      expect(await at.store.record('domain-claim', DOMAIN)).toBeUndefined();
    });
  });
}

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { presentedValue } from '../../src/core/access/decide-rotate-key.ts';
import type { CreateKeyCommand, RotateKeyCommand } from '../../src/core/access/commands.ts';
import { keyCapId, USD_MICROCENTS } from '../../src/core/ledger/account.ts';
import { keyNameId, type ApiKey, type KeyKind } from '../../src/core/records.ts';
import type { Command } from '../../src/core/verbs.ts';
import { audited, capOf, makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

/** Rotated keys, pages of keys, threshold events, and lists of events. */
export function describeKeysAndEvents(makeStore: MakeStore): void {
  let clock: TestClock;
  let at: TestStore;
  let commands: CommandMaker;

  beforeEach(async () => {
    clock = makeTestClock();
    at = await makeStore({ clock });
    commands = makeCommands();
    await execute(commands.createTenant('acme'));
  });
  afterEach(() => at.destroy());

  const execute = async (...batch: Command[]): Promise<void> => {
    const { outcomes } = await at.store.execute(commands.id('batch'), batch, 0);
    expect(outcomes.filter((outcome) => !outcome.ok)).toEqual([]);
  };
  const rotate = (parts: Partial<RotateKeyCommand> = {}): RotateKeyCommand => ({
    verb: 'rotate-key',
    id: commands.id('cmd'),
    tenantId: 'acme',
    keyId: 'key_1',
    hash: 'hash 2',
    mask: 'tk_****',
    sealed: null,
    graceMs: 60_000,
    ...parts,
  });
  const foundBy = async (hash: string): Promise<string | null> => {
    const key = await at.store.keyByHash(hash);
    return key === undefined ? null : `${key.id} ${presentedValue(key, hash, clock.nowMs())}`;
  };
  const FIRST = 'hash-of-acme-key_1';

  describe('names that are to be the only ones', () => {
    const named = (keyId: string, lastKeyId: string | null): Command => ({
      ...(commands.createKey('acme', keyId, { name: 'robot' }) as CreateKeyCommand),
      onlyName: { lastKeyId },
    });
    const tried = async (...batch: Command[]): Promise<(string | null)[]> => {
      const { outcomes } = await at.store.execute(commands.id('batch'), batch, 0);
      return outcomes.map((outcome) => (outcome.ok ? null : outcome.rejection.code));
    };

    test('of two in one batch, and of one that looked too early, one is made; who looked after is not refused', async () => {
      expect(await tried(named('key_1', null), named('key_2', null))).toEqual([null, 'conflict']);
      expect(await tried(named('key_3', null))).toEqual(['conflict']);
      const [key] = await at.store.keys({ tenantId: 'acme', kinds: ['inference'] });
      const name = await at.store.record('key-name', keyNameId('acme', key?.createdBy ?? '', 'robot'));
      expect([key?.id, name?.keyId]).toEqual(['key_1', 'key_1']);
      expect(await tried(named('key_4', 'key_1'))).toEqual([null]);
    });
  });

  test("a tenant's settings for its calls are kept with it, and outlive its other changes", async () => {
    const member = { id: 'ann', email: 'ann@example.com', role: 'admin' as const };
    const inference = { allowedProviders: ['mistral'], euNative: true };
    const base = { id: commands.id('cmd'), tenantId: 'acme' };
    await execute(
      { verb: 'add-member', id: commands.id('cmd'), tenantId: 'acme', member },
      { verb: 'set-project-settings', ...base, memberId: 'ann', allowOverwrite: false, inference },
      commands.createKey('acme', 'key_1'),
    );
    expect((await at.store.record('tenant', 'acme'))?.projectSettings).toMatchObject({ allowOverwrite: false, inference });
  });

  describe('rotated keys', () => {
    test('are found by both values, and keep name, caps, spend and usage', async () => {
      await execute(commands.createKey('acme', 'key_1', { name: 'robot', maxTokens: 100n }));
      const hold = commands.hold({ tokens: 30n, microcents: 0n });
      await execute(hold);
      const before = (await at.store.record('key', 'key_1')) as ApiKey;
      await execute(rotate());
      // What was held before is settled after, on the same account.
      await execute(commands.settle(hold, { promptTokens: 20, completionTokens: 5, microcents: 0n }));
      expect(await foundBy(FIRST)).toBe('key_1 previous');
      expect(await foundBy('hash 2')).toBe('key_1 current');
      const rotation = { atMs: clock.nowMs(), previousHash: FIRST, previousUntilMs: clock.nowMs() + 60_000 };
      expect(await at.store.record('key', 'key_1')).toEqual({ ...before, hash: 'hash 2', rotation });
      expect((await at.store.accounts([capOf('acme', 'key_1')])).get(capOf('acme', 'key_1'))).toMatchObject({
        allocated: 100n,
        spent: 25n,
        reserved: 0n,
      });
      expect(await at.store.keyUsage({ tenantId: 'acme', keyIds: ['key_1'] })).toMatchObject([{ requests: 1, promptTokens: 20 }]);
      expect(await at.store.keyNames('acme', ['key_1'])).toEqual(new Map([['key_1', 'robot']]));
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('have two values at most: the oldest is found no more, within its grace too', async () => {
      await execute(commands.createKey('acme', 'key_1'), rotate(), rotate({ hash: 'hash 3' }));
      expect([await foundBy(FIRST), await foundBy('hash 2'), await foundBy('hash 3')]).toEqual([null, 'key_1 previous', 'key_1 current']);
      await execute(rotate({ hash: 'hash 4', graceMs: 0 }));
      expect([await foundBy('hash 2'), await foundBy('hash 3'), await foundBy('hash 4')]).toEqual([null, null, 'key_1 current']);
    });

    test('are found by neither value once they are deleted', async () => {
      await execute(commands.createKey('acme', 'key_1'), rotate(), commands.deleteKey('acme', 'key_1'));
      expect([await foundBy(FIRST), await foundBy('hash 2')]).toEqual([null, null]);
    });

    test('stay rotated over a start, and after another change', async () => {
      await execute(commands.createKey('acme', 'key_1'), rotate());
      await execute({ verb: 'update-key', id: commands.id('cmd'), tenantId: 'acme', keyId: 'key_1', name: 'renamed' });
      at = await at.reopen();
      expect([await foundBy(FIRST), await foundBy('hash 2')]).toEqual(['key_1 previous', 'key_1 current']);
    });

    test('leave an audit row, refused ones too, and raise the generation', async () => {
      await execute(commands.createKey('acme', 'key_1'));
      const before = await at.store.generation();
      await execute(audited(rotate()));
      expect(await at.store.generation()).toBeGreaterThan(before);
      const { outcomes } = await at.store.execute(commands.id('batch'), [audited(rotate({ keyId: 'key_none' }))], 0);
      expect(outcomes).toMatchObject([{ ok: false, rejection: { code: 'not_found' } }]);
      const rows = await at.raw('SELECT operation, code FROM audit ORDER BY seq');
      expect(rows).toEqual([
        { operation: 'rotate-key', code: null },
        { operation: 'rotate-key', code: 'not_found' },
      ]);
    });

    test('before they are rotated are rows as an earlier release writes them, which name no value before', async () => {
      await execute(commands.createKey('acme', 'key_1'));
      expect(await at.raw(`SELECT id FROM api_keys WHERE CAST(body AS TEXT) LIKE '%rotation%' OR previous_hash IS NOT NULL`)).toEqual([]);
      expect(await foundBy(FIRST)).toBe('key_1 current');
      await execute(rotate());
      expect(await foundBy(FIRST)).toBe('key_1 previous');
    });

    test('are refused by the store where two live keys would share a value before', async () => {
      await execute(commands.createKey('acme', 'key_1'), commands.createKey('acme', 'key_2'), rotate());
      await expect(at.raw(`UPDATE api_keys SET previous_hash = '${FIRST}' WHERE id = 'key_2'`)).rejects.toThrow(/unique/i);
    });
  });

  describe('pages of keys', () => {
    const pages = async (kinds: readonly KeyKind[], limit: number): Promise<string[][]> => {
      const found: string[][] = [];
      for (let afterId: string | undefined; ;) {
        const page = await at.store.keys({ tenantId: 'acme', kinds, limit, ...(afterId === undefined ? {} : { afterId }) });
        if (page.length === 0) return found;
        found.push(page.map(({ id }) => id));
        afterId = page.at(-1)?.id;
      }
    };
    const key = (id: string, kind: KeyKind = 'inference'): Command => commands.createKey('acme', id, { kind });

    test('hold every key of the wanted kinds once, in one order, whatever the mixture', async () => {
      await execute({ verb: 'add-member', id: commands.id('cmd'), tenantId: 'acme', member: { id: 'ann', email: 'a@b.c', role: 'admin' } });
      const kinds: KeyKind[] = ['inference', 'management', 'admin', 'tenant'];
      const made = Array.from({ length: 23 }, (_, index) => [`key_${10 + index}`, kinds[(index * index) % 4] as KeyKind] as const);
      for (const [id, kind] of made) await execute(key(id, kind));
      const of = (wanted: readonly KeyKind[]): string[] => made.filter(([, kind]) => wanted.includes(kind)).map(([id]) => id);
      for (const wanted of [kinds, ['inference'], ['management', 'inference'], ['admin']] as KeyKind[][]) {
        for (const limit of [1, 3, 50]) {
          const found = await pages(wanted, limit);
          expect(found.flat()).toEqual(of(wanted));
          expect(found.slice(0, -1).every((page) => page.length === limit)).toBe(true);
        }
      }
    });

    test('lose and repeat none of the keys that stay while others come and go', async () => {
      for (const id of ['key_2', 'key_4', 'key_6', 'key_8']) await execute(key(id));
      const first = await at.store.keys({ tenantId: 'acme', kinds: ['inference'], limit: 2 });
      expect(first.map(({ id }) => id)).toEqual(['key_2', 'key_4']);
      // The very key that the page ended with goes, one comes before it and one after.
      await execute(commands.deleteKey('acme', 'key_4'), key('key_3'), key('key_7'));
      const rest = await at.store.keys({ tenantId: 'acme', kinds: ['inference'], limit: 9, afterId: 'key_4' });
      expect(rest.map(({ id }) => id)).toEqual(['key_6', 'key_7', 'key_8']);
    });
  });

  describe('events', () => {
    test('of a passed threshold are written with what passed it', async () => {
      const money = keyCapId('acme', 'key_1', USD_MICROCENTS);
      await execute(commands.createKey('acme', 'key_1', { maxTokens: 100n }), commands.allocate(moneyOf('acme'), 1000n));
      await execute(commands.allocate(money, 10_000n));
      // The hold takes the budget across two thresholds, of which its charge falls back across one.
      const hold = commands.hold({ tokens: 100n, microcents: 900n });
      await execute(hold, commands.settle(hold, { promptTokens: 60, completionTokens: 25, microcents: 500n }));
      const crossed = (await at.store.events({ tenantId: 'acme', limit: 100 }))
        .map(({ event }) => event)
        .filter(({ type }) => type.endsWith('.threshold_crossed'));
      const shown = crossed.map(({ type, data }) => [type, (data as { threshold_percent: number }).threshold_percent]).toReversed();
      expect(shown).toEqual([
        ['budget.threshold_crossed', 50],
        ['budget.threshold_crossed', 80],
        ['api_key.threshold_crossed', 50],
        ['api_key.threshold_crossed', 80],
        ['budget.threshold_crossed', 80],
      ]);
      expect(crossed.find(({ type }) => type === 'api_key.threshold_crossed')).toMatchObject({ data: { threshold_percent: 80 } });
      expect(crossed.findLast(({ type }) => type === 'api_key.threshold_crossed')).toMatchObject({
        tenantId: 'acme',
        atMs: clock.nowMs(),
        data: { key_id: 'key_1', limit: '100', spent: '85' },
      });
    });

    test('come newest first, of one tenant, of one type, page by page', async () => {
      await execute(commands.createTenant('other'));
      for (const id of ['key_1', 'key_2', 'key_3']) await execute(commands.createKey('acme', id));
      await execute(commands.createKey('other', 'key_9'), commands.deleteKey('acme', 'key_2'));
      const shown = async (query: { type?: string; beforeSeq?: number; limit: number }): Promise<string[]> =>
        (await at.store.events({ tenantId: 'acme', ...query })).map(
          ({ event }) => `${event.type} ${(event.data as { key_id?: string }).key_id ?? ''}`,
        );
      expect(await shown({ limit: 9 })).toEqual([
        'api_key.deleted key_2',
        'api_key.created key_3',
        'api_key.created key_2',
        'api_key.created key_1',
        'tenant.created ',
      ]);
      expect(await shown({ limit: 2, type: 'api_key.created' })).toEqual(['api_key.created key_3', 'api_key.created key_2']);
      const [, second] = await at.store.events({ tenantId: 'acme', limit: 2 });
      expect(await shown({ limit: 9, beforeSeq: second?.seq ?? 0 })).toEqual([
        'api_key.created key_2',
        'api_key.created key_1',
        'tenant.created ',
      ]);
      expect(await shown({ limit: 9, type: 'api_key.created', beforeSeq: second?.seq ?? 0 })).toEqual([
        'api_key.created key_2',
        'api_key.created key_1',
      ]);
      expect(await shown({ limit: 9, type: 'none' })).toEqual([]);
      expect(await at.store.events({ tenantId: 'nobody', limit: 9 })).toEqual([]);
    });

    test('are not written where the batch is refused', async () => {
      const before = await at.store.events({ tenantId: 'acme', limit: 9 });
      const { outcomes } = await at.store.execute(commands.id('batch'), [rotate({ keyId: 'key_none' })], 0);
      expect(outcomes[0]?.ok).toBe(false);
      expect(await at.store.events({ tenantId: 'acme', limit: 9 })).toEqual(before);
    });
  });
}

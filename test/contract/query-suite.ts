import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { memberRecordId } from '../../src/core/records.ts';
import type { Command } from '../../src/core/verbs.ts';
import { capOf, makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

/** Queries of records and of the ledger. */
export function describeQueries(makeStore: MakeStore): void {
  describe('queries', () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;

    beforeEach(async () => {
      clock = makeTestClock();
      at = await makeStore({ clock });
      commands = makeCommands();
    });
    afterEach(() => at.destroy());

    const execute = async (...batch: Command[]): Promise<void> => {
      const { outcomes } = await at.store.execute(commands.id('batch'), batch, 0);
      expect(outcomes.filter((outcome) => !outcome.ok)).toEqual([]);
    };
    const member = (tenantId: string, id: string): Command => ({
      verb: 'add-member',
      id: commands.id('cmd'),
      tenantId,
      member: { id, email: `${id}@example.com`, role: 'admin' },
    });

    test('what does not exist is undefined, or missing from the map', async () => {
      expect(await at.store.record('tenant', 'nobody')).toBeUndefined();
      expect(await at.store.reservation('res_none')).toBeUndefined();
      expect(await at.store.keyByHash('none')).toBeUndefined();
      expect(await at.store.accounts([moneyOf('nobody')])).toEqual(new Map());
      expect(await at.store.records('model')).toEqual([]);
    });

    test('records come ordered by id, those of another tenant and deleted keys left out', async () => {
      await execute(commands.createTenant('b'), commands.createTenant('a'), member('a', 'zoe'), member('a', 'ann'), member('b', 'bob'));
      await execute(
        commands.createKey('a', 'key_2'),
        commands.createKey('a', 'key_1'),
        commands.createKey('b', 'key_3'),
        commands.createKey('a', 'key_4'),
      );
      await execute(commands.deleteKey('a', 'key_1'));
      expect((await at.store.records('tenant')).map(({ id }) => id)).toEqual(['a', 'b']);
      expect((await at.store.records('member', 'a')).map(({ id }) => id)).toEqual(['ann', 'zoe']);
      expect((await at.store.records('key', 'a')).map(({ id }) => id)).toEqual(['key_2', 'key_4']);
      expect((await at.store.records('key')).map(({ id }) => id)).toEqual(['key_2', 'key_3', 'key_4']);
      expect((await at.store.record('member', memberRecordId('b', 'bob')))?.email).toBe('bob@example.com');
      expect((await at.store.record('key', 'key_1'))?.deletedAtMs).toBe(clock.nowMs());
    });

    test('a key is found by its hash until it is deleted', async () => {
      await execute(commands.createTenant('a'), commands.createKey('a', 'key_1'), commands.createKey('a', 'key_2'));
      expect((await at.store.keyByHash('hash-of-a-key_1'))?.id).toBe('key_1');
      await execute(commands.deleteKey('a', 'key_1'));
      expect(await at.store.keyByHash('hash-of-a-key_1')).toBeUndefined();
    });

    test('keys of a tenant come by kind, oldest first, page by page', async () => {
      await execute(commands.createTenant('a'), commands.createTenant('b'), member('a', 'ann'));
      for (const id of ['key_1', 'key_2', 'key_3', 'key_5']) await execute(commands.createKey('a', id));
      await execute(
        commands.createKey('a', 'key_4', { kind: 'management' }),
        commands.createKey('b', 'key_9'),
        commands.deleteKey('a', 'key_2'),
      );
      const ids = async (query: Omit<Parameters<TestStore['store']['keys']>[0], 'tenantId'>): Promise<string[]> =>
        (await at.store.keys({ tenantId: 'a', ...query })).map(({ id }) => id);
      expect(await ids({ kinds: ['inference'] })).toEqual(['key_1', 'key_3', 'key_5']);
      expect(await ids({ kinds: ['inference', 'management'] })).toEqual(['key_1', 'key_3', 'key_4', 'key_5']);
      expect(await ids({ kinds: ['inference', 'management'], limit: 2 })).toEqual(['key_1', 'key_3']);
      expect(await ids({ kinds: ['inference', 'management'], limit: 2, afterId: 'key_3' })).toEqual(['key_4', 'key_5']);
      expect(await ids({ kinds: [] })).toEqual([]);
    });

    test('names of keys are known after they are deleted, to their tenant alone', async () => {
      await execute(commands.createTenant('a'), commands.createTenant('b'));
      await execute(commands.createKey('a', 'key_1', { name: 'first' }), commands.createKey('a', 'key_2', { name: 'second' }));
      await execute(commands.createKey('b', 'key_3', { name: 'foreign' }), commands.deleteKey('a', 'key_1'));
      const names = await at.store.keyNames('a', ['key_1', 'key_2', 'key_3', 'key_none']);
      expect(names).toEqual(
        new Map([
          ['key_1', 'first'],
          ['key_2', 'second'],
        ]),
      );
    });

    test('a record that is put again is the new one, and one that is removed is gone', async () => {
      const upstream = { id: 'up', kind: 'demo', baseUrl: 'http://x.test', apiKeySealed: null, provider: 'p', region: null } as const;
      const rest = { euNative: false, quantized: false, retentionDays: null, continuousUsage: false, timeoutMs: null };
      const put = (baseUrl: string, replace: boolean): Command => ({
        verb: 'put-upstream',
        id: commands.id('cmd'),
        tenantId: '_system',
        upstream: { ...upstream, ...rest, baseUrl },
        replace,
      });
      await execute(put('http://one.test', false));
      await execute(put('http://two.test', true));
      expect((await at.store.records('upstream')).map(({ baseUrl }) => baseUrl)).toEqual(['http://two.test']);
      await execute({ verb: 'remove-record', id: commands.id('cmd'), tenantId: '_system', kind: 'upstream', recordId: 'up' });
      expect(await at.store.record('upstream', 'up')).toBeUndefined();
    });

    test('expired reservations are those past expiry and grace, the oldest first', async () => {
      await execute(commands.createTenant('acme'), commands.createKey('acme', 'key_1'), commands.allocate(moneyOf('acme'), 1_000_000n));
      const startMs = clock.nowMs();
      const [late, early, long, ended] = [
        commands.hold({ ttlMs: 20_000, graceMs: 5000 }),
        commands.hold({ ttlMs: 10_000, graceMs: 0, purpose: 'budget' }),
        commands.hold({ ttlMs: 90_000, graceMs: 0 }),
        commands.hold({ ttlMs: 1000, graceMs: 0 }),
      ];
      await execute(late, early, long, ended, commands.cancel(ended));
      const due = async (afterMs: number, limit = 10): Promise<string[]> => {
        clock.set(startMs + afterMs);
        return (await at.store.expiredReservations({ limit })).map(({ id }) => id);
      };
      expect(await due(10_000)).toEqual([]);
      expect(await due(10_001)).toEqual([early.reservationId]);
      expect(await due(25_000)).toEqual([early.reservationId]);
      expect(await due(25_001)).toEqual([early.reservationId, late.reservationId]);
      expect(await due(25_001, 1)).toEqual([early.reservationId]);
      expect((await at.store.expiredReservations({ limit: 1 }))[0]?.tenantId).toBe('acme');
      clock.set(startMs + 30_000);
      await execute({ verb: 'expire', id: commands.id('cmd'), tenantId: 'acme', reservationId: early.reservationId });
      expect(await due(30_000)).toEqual([late.reservationId]);
    });

    test('unsettled calls are holds of calls without a charge whose owner is not alive', async () => {
      await execute(commands.createTenant('acme'), commands.createKey('acme', 'key_1'), commands.allocate(moneyOf('acme'), 1_000_000n));
      const hold = (ownerId: string, purpose: 'call' | 'budget' = 'call') => commands.hold({ ownerId, purpose, ttlMs: 1000, graceMs: 0 });
      const [inFlight, expired, settled, cancelled, alive, budget, settledLate, cancelledLate] = [
        hold('run_dead'),
        hold('run_dead'),
        hold('run_dead'),
        hold('run_dead'),
        hold('run_alive'),
        hold('run_dead', 'budget'),
        hold('run_dead'),
        hold('run_dead'),
      ];
      await execute(inFlight, expired, settled, cancelled, alive, budget, settledLate, cancelledLate);
      await execute(commands.settle(settled, { promptTokens: 1, completionTokens: 1, microcents: 1n }), commands.cancel(cancelled));
      clock.set(clock.nowMs() + 5000);
      for (const { reservationId } of [expired, settledLate, cancelledLate]) {
        await execute({ verb: 'expire', id: commands.id('cmd'), tenantId: 'acme', reservationId });
      }
      await execute(commands.settle(settledLate, { promptTokens: 1, completionTokens: 1, microcents: 1n }), commands.cancel(cancelledLate));
      const found = await at.store.unsettledCalls({ liveOwnerIds: ['run_alive', 'run_other'], limit: 10 });
      const unsettled = found.toSorted((a, b) => (a.id < b.id ? -1 : 1));
      expect(unsettled.map(({ id, state }) => [id, state])).toEqual([
        [inFlight.reservationId, 'ACTIVE'],
        [expired.reservationId, 'EXPIRED'],
      ]);
      expect(unsettled[0]?.legs).toEqual([
        { accountId: capOf('acme', 'key_1'), amount: 100n },
        { accountId: moneyOf('acme'), amount: 1000n },
      ]);
      expect(unsettled[0]?.context).toEqual(inFlight.context);
      expect(await at.store.unsettledCalls({ liveOwnerIds: [], limit: 10 })).toHaveLength(3);
      expect(await at.store.unsettledCalls({ liveOwnerIds: [], limit: 1 })).toHaveLength(1);
    });

    test('a heartbeat shows the runs that were seen lately', async () => {
      expect(await at.store.heartbeat({ ownerId: 'run_1', withinMs: 10_000 })).toEqual(['run_1']);
      clock.set(clock.nowMs() + 6000);
      expect((await at.store.heartbeat({ ownerId: 'run_2', withinMs: 10_000 })).toSorted()).toEqual(['run_1', 'run_2']);
      clock.set(clock.nowMs() + 6000);
      expect(await at.store.heartbeat({ ownerId: 'run_2', withinMs: 10_000 })).toEqual(['run_2']);
    });
  });
}

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvariantViolation } from '../../src/core/invariant.ts';
import { audited, capOf, makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const INT64_MAX = 9_223_372_036_854_775_807n;

/** Execute: order, all or nothing, durability, time. */
export function describeExecute(makeStore: MakeStore): void {
  describe('execute', () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;

    beforeEach(async () => {
      clock = makeTestClock();
      at = await makeStore({ clock });
      commands = makeCommands();
    });
    afterEach(() => at.destroy());

    const execute = (...batch: Parameters<TestStore['store']['execute']>[1]) => at.store.execute(commands.id('batch'), batch, 0);
    const countOf = async (table: string): Promise<number> => Number((await at.raw(`SELECT count(*) AS n FROM ${table}`))[0]?.['n']);
    const setUp = () =>
      execute(commands.createTenant('acme'), commands.createKey('acme', 'key_1'), commands.allocate(moneyOf('acme'), 1500n));

    test('decides the commands of a batch in order, each after what those before it did', async () => {
      await setUp();
      const [first, second] = [commands.hold({}), commands.hold({})];
      const { outcomes } = await execute(first, second, commands.cancel(first), commands.hold({}));
      expect(outcomes.map((outcome) => outcome.ok || outcome.rejection.code)).toEqual([true, 'held', true, true]);
      const account = (await at.store.accounts([moneyOf('acme')])).get(moneyOf('acme'));
      expect(account?.reserved).toBe(1000n);
    });

    test('shows all effects of a batch to the reads that follow its answer', async () => {
      await setUp();
      const hold = commands.hold({});
      await execute(hold);
      const reservation = await at.store.reservation(hold.reservationId);
      expect(reservation).toEqual({
        id: hold.reservationId,
        tenantId: 'acme',
        purpose: 'call',
        state: 'ACTIVE',
        legs: [
          { accountId: capOf('acme', 'key_1'), amount: 100n },
          { accountId: moneyOf('acme'), amount: 1000n },
        ],
        charged: null,
        overagePolicy: 'ALLOW_IF_AVAILABLE',
        createdAtMs: clock.nowMs(),
        expiresAtMs: clock.nowMs() + 60_000,
        graceMs: 5000,
        extensions: 0,
        maxExtensions: 3,
        finalizedAtMs: null,
        settledAtMs: null,
        ownerId: 'run_1',
        context: hold.context,
        checkpoint: null,
      });
      await execute(commands.settle(hold, { promptTokens: 7, completionTokens: 5, microcents: 999n }));
      const settled = await at.store.reservation(hold.reservationId);
      expect(settled).toEqual({
        ...reservation,
        state: 'COMMITTED',
        charged: [12n, 999n],
        finalizedAtMs: clock.nowMs(),
        settledAtMs: clock.nowMs(),
      });
      expect(await at.store.usageEvents({ tenantId: 'acme', limit: 10 })).toMatchObject([
        { id: hold.reservationId, chargeMicrocents: 999n },
      ]);
      expect((await at.store.record('key', 'key_1'))?.name).toBe('name-of-key_1');
    });

    test('a reservation made and settled in one batch is stored as it ended', async () => {
      await setUp();
      const hold = commands.hold({});
      await execute(hold, commands.settle(hold, { promptTokens: 1, completionTokens: 2, microcents: 3n }));
      expect(await at.store.reservation(hold.reservationId)).toMatchObject({ state: 'COMMITTED', charged: [3n, 3n] });
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('keeps what a call in flight has shown so far', async () => {
      await setUp();
      const hold = commands.hold({});
      await execute(hold);
      const checkpoint = { text: 'so far', tokens: 12 };
      await execute({
        verb: 'keep-call',
        id: commands.id('cmd'),
        tenantId: 'acme',
        reservationId: hold.reservationId,
        ttlMs: 90_000,
        checkpoint,
      });
      expect(await at.store.reservation(hold.reservationId)).toMatchObject({ checkpoint, expiresAtMs: clock.nowMs() + 90_000 });
    });

    test('a batch that a command throws in leaves nothing, and the next batch works', async () => {
      await setUp();
      const hold = commands.hold({});
      await execute(hold);
      const before = await at.store.accounts([moneyOf('acme'), capOf('acme', 'key_1')]);
      const counts = await Promise.all(['ledger_entries', 'reservations', 'usage_tail', 'audit', 'events', 'tenants'].map(countOf));
      const poison = commands.settle(hold, { promptTokens: 1, completionTokens: 1, microcents: INT64_MAX + 1n });
      const batch = execute(audited(commands.createTenant('other')), commands.hold({ microcents: 10n }), poison);
      await expect(batch).rejects.toBeInstanceOf(InvariantViolation);
      expect(await at.store.accounts([moneyOf('acme'), capOf('acme', 'key_1')])).toEqual(before);
      expect(await Promise.all(['ledger_entries', 'reservations', 'usage_tail', 'audit', 'events', 'tenants'].map(countOf))).toEqual(
        counts,
      );
      expect(await at.store.record('tenant', 'other')).toBeUndefined();

      const { outcomes } = await execute(commands.hold({ microcents: 10n }), commands.createTenant('other'));
      expect(outcomes.map((outcome) => outcome.ok)).toEqual([true, true]);
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('a refused command leaves nothing but its audit row, which names the refusal', async () => {
      await setUp();
      const tables = ['ledger_entries', 'reservations', 'accounts', 'events', 'tenants'];
      const counts = await Promise.all(tables.map(countOf));
      const generation = await at.store.generation();
      const { outcomes } = await execute(audited(commands.createTenant('acme')), commands.hold({ microcents: 1501n }));
      expect(outcomes.map((outcome) => outcome.ok)).toEqual([false, false]);
      expect(await Promise.all(tables.map(countOf))).toEqual(counts);
      expect(await at.store.generation()).toBe(generation);
      const rows = await at.raw('SELECT operation, tenant_id, actor_kind, resource_id, request_id, code FROM audit');
      expect(rows).toEqual([
        {
          operation: 'create-tenant',
          tenant_id: 'acme',
          actor_kind: 'operator',
          resource_id: 'acme',
          request_id: 'req_1',
          code: 'conflict',
        },
      ]);
    });

    test('a management command that succeeds leaves an audit row without a code, and its events', async () => {
      const events = await countOf('events');
      await execute(audited(commands.createTenant('acme')));
      const [row] = await at.raw('SELECT code, at_ms, CAST(metadata AS text) AS metadata FROM audit');
      expect([row?.['code'], Number(row?.['at_ms']), JSON.parse(String(row?.['metadata']))]).toEqual([
        null,
        clock.nowMs(),
        { reason: 'a test' },
      ]);
      expect(await countOf('events')).toBeGreaterThan(events);
    });

    test('names the records that a batch changed, and the generation grows with them alone', async () => {
      const created = await execute(commands.createTenant('acme'));
      expect(created.changedRecords).toEqual([{ kind: 'tenant', id: 'acme' }]);
      const generation = await at.store.generation();
      const ledgerOnly = await execute(commands.allocate(moneyOf('acme'), 5n));
      expect([ledgerOnly.changedRecords, await at.store.generation()]).toEqual([[], generation]);
      const withKey = await execute(commands.createKey('acme', 'key_1'));
      expect(withKey.changedRecords).toContainEqual({ kind: 'key', id: 'key_1' });
      expect(await at.store.generation()).toBeGreaterThan(generation);
    });

    test('amounts keep every digit of an int64', async () => {
      const accountId = moneyOf('acme');
      await execute(commands.allocate(accountId, INT64_MAX));
      expect((await at.store.accounts([accountId])).get(accountId)?.allocated).toBe(INT64_MAX);
      const hold = commands.hold({ microcents: INT64_MAX - 1n, tokens: 1n });
      await execute(hold);
      expect((await at.store.reservation(hold.reservationId))?.legs).toEqual([{ accountId, amount: INT64_MAX - 1n }]);
      await execute(commands.settle(hold, { promptTokens: 0, completionTokens: 0, microcents: INT64_MAX - 2n }));
      expect((await at.store.accounts([accountId])).get(accountId)).toMatchObject({ spent: INT64_MAX - 2n, reserved: 0n });
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('an idempotency key is answered once for good: the same answer, and nothing changes', async () => {
      await setUp();
      const first = commands.hold({ idempotencyKey: 'idem-1' });
      const again = { ...commands.hold({ idempotencyKey: 'idem-1' }) };
      const [outcome] = (await execute(first)).outcomes;
      const entries = await countOf('ledger_entries');
      const inOwnBatch = await execute(again);
      const otherBody = { ...commands.hold({ idempotencyKey: 'idem-1' }) };
      const mismatch = await execute({ ...otherBody, idempotency: { ref: otherBody.idempotency!.ref, hash: 'another', keepMs: 1 } });
      expect(inOwnBatch.outcomes).toEqual([outcome]);
      expect(mismatch.outcomes).toMatchObject([{ ok: false, rejection: { code: 'idempotency_mismatch' } }]);
      expect(await countOf('ledger_entries')).toBe(entries);
    });

    test('an idempotency key twice in one batch is decided once', async () => {
      await setUp();
      const { outcomes } = await execute(commands.hold({ idempotencyKey: 'idem-2' }), commands.hold({ idempotencyKey: 'idem-2' }));
      expect(outcomes[1]).toEqual(outcomes[0]);
      expect(await countOf('reservations')).toBe(1);
    });

    test('batches posted at once are each done exactly once', async () => {
      await setUp();
      await execute(commands.allocate(moneyOf('acme'), 1_000_000n));
      const batches = Array.from({ length: 40 }, (_, index) => ({
        batch: [commands.hold({ microcents: BigInt(index) }), commands.hold({ microcents: 1n })],
      }));
      const results = await Promise.all(batches.map(({ batch }) => execute(...batch)));
      expect(results.flatMap(({ outcomes }) => outcomes).every((outcome) => outcome.ok)).toBe(true);
      const account = (await at.store.accounts([moneyOf('acme')])).get(moneyOf('acme'));
      expect(account?.reserved).toBe(40n + (39n * 40n) / 2n);
      expect(await countOf('reservations')).toBe(80);
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });

    test('the time of batches never goes back', async () => {
      const times: number[] = [];
      for (const offsetMs of [0, 5000, -60_000, 4000, 6000]) {
        clock.set(Date.parse('2026-11-22T10:07:03Z') + offsetMs);
        times.push((await execute(commands.allocate(moneyOf('acme'), BigInt(offsetMs + 100_000)))).nowMs);
      }
      expect(times).toEqual([0, 5000, 5000, 5000, 6000].map((offsetMs) => Date.parse('2026-11-22T10:07:03Z') + offsetMs));
    });

    test('everything is there after a restart', async () => {
      await setUp();
      const [held, settled] = [commands.hold({ microcents: 10n, idempotencyKey: 'idem-3' }), commands.hold({ microcents: 20n })];
      await execute(held, settled, commands.settle(settled, { promptTokens: 3, completionTokens: 4, microcents: 5n }));
      const look = async (): Promise<unknown> => ({
        accounts: await at.store.accounts([moneyOf('acme'), capOf('acme', 'key_1')]),
        held: await at.store.reservation(held.reservationId),
        settled: await at.store.reservation(settled.reservationId),
        tenant: await at.store.record('tenant', 'acme'),
        keys: await at.store.records('key', 'acme'),
        usage: await at.store.usageEvents({ tenantId: 'acme', limit: 5 }),
        totals: await at.store.usageTotals({ tenantId: 'acme', fromMs: null, intervalMs: 5000 }),
        generation: await at.store.generation(),
      });
      const before = await look();
      at = await at.reopen();
      expect(await look()).toEqual(before);
      const again = await execute(commands.hold({ microcents: 10n, idempotencyKey: 'idem-3' }));
      expect(again.outcomes).toMatchObject([{ ok: true, value: { reservationId: held.reservationId } }]);
      expect((await at.store.verify()).discrepancies).toEqual([]);
    });
  });
}

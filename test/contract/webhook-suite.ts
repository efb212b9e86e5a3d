import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Telling } from '../../src/core/events/commands.ts';
import type { AttemptResult, Delivery, DeliveryLease, DeliveryRef, NewDelivery } from '../../src/ports/webhook-store.ts';
import { makeCommands, moneyOf, type CommandMaker } from './commands.ts';
import { makeTestClock, type MakeStore, type TestClock, type TestStore } from './test-store.ts';

const LEASE_MS = 30_000;

/** What is delivered of events: handed out once, leased to one node at a time, told to nobody twice. */
export function describeWebhooks(makeStore: MakeStore): void {
  describe('webhooks', () => {
    let clock: TestClock;
    let at: TestStore;
    let commands: CommandMaker;
    let serial = 0;

    beforeEach(async () => {
      clock = makeTestClock();
      at = await makeStore({ clock });
      commands = makeCommands();
      await at.store.execute('tenant', [commands.createTenant('acme')], 0);
      const before = await at.store.eventsToHandOut({ limit: 100 });
      await at.store.handOut({ seqs: before.map(({ seq }) => seq), deliveries: [] });
    });
    afterEach(() => at.destroy());

    /** Makes events and gives their numbers. */
    const tell = async (count: number): Promise<number[]> => {
      const tellings = Array.from({ length: count }, (_, n): Telling => ({ type: 'budget.exhausted', data: { n } }));
      const id = commands.id('cmd');
      await at.store.execute(id, [{ verb: 'tell-events', id, tenantId: 'acme', tellings }], 0);
      return (await at.store.eventsToHandOut({ limit: 1000 })).map(({ seq }) => seq);
    };
    const deliveryOf = (webhookId: string, eventSeq: number, replayId = ''): NewDelivery => ({
      webhookId,
      eventSeq,
      replayId,
      id: `dlv_${String((serial += 1)).padStart(8, '0')}`,
      eventId: `evt_${eventSeq}`,
      eventType: 'budget.exhausted',
      tenantId: 'acme',
      traceId: null,
      traceFlags: null,
    });
    const lease = (limit = 10, ownerId = 'one'): Promise<DeliveryLease[]> =>
      at.store.leaseDeliveries({ ownerId, limit, leaseMs: LEASE_MS });
    const due = async (webhookId: string): Promise<number[]> =>
      (await at.store.dueDeliveries({ webhookIds: [webhookId], limit: 100 })).map(({ delivery }) => delivery.eventSeq);
    const result = (ref: DeliveryRef, parts: Partial<AttemptResult> = {}): AttemptResult => ({
      ref,
      status: 'SUCCESS',
      attempts: 1,
      retryInMs: null,
      responseStatus: 200,
      responseTimeMs: 7,
      error: null,
      isCounted: true,
      ...parts,
    });
    const refOf = (webhookId: string, eventSeq: number, replayId = ''): DeliveryRef => ({ webhookId, eventSeq, replayId });
    const list = (webhookId: string, statuses: Delivery['status'][] = ['PENDING', 'RETRYING', 'SUCCESS', 'FAILED']): Promise<Delivery[]> =>
      at.store.deliveries({ webhookId, statuses, after: null, limit: 100 });
    /** Hands out one event to a webhook, and takes the lease. */
    const leased = async (count = 1): Promise<{ seqs: number[]; lease: DeliveryLease }> => {
      const seqs = await tell(count);
      await at.store.handOut({ seqs, deliveries: seqs.map((seq) => deliveryOf('wh_1', seq)) });
      const [held] = await lease();
      if (held === undefined) throw new Error('nothing to lease');
      return { seqs, lease: held };
    };

    test('events wait in their order until they are handed out, once', async () => {
      const seqs = await tell(3);
      expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
      expect(await at.store.handOut({ seqs: seqs.slice(0, 2), deliveries: [deliveryOf('wh_1', seqs[0] ?? 0)] })).toBe(true);
      expect((await at.store.eventsToHandOut({ limit: 10 })).map(({ seq }) => seq)).toEqual(seqs.slice(2));
      // Somebody else was faster: nothing of it is done.
      expect(await at.store.handOut({ seqs, deliveries: seqs.map((seq) => deliveryOf('wh_2', seq)) })).toBe(false);
      expect(await list('wh_2')).toEqual([]);
      expect((await at.store.eventsToHandOut({ limit: 10 })).map(({ seq }) => seq)).toEqual(seqs.slice(2));
    });

    test('an event may be handed out in parts; what was made before is left as it is', async () => {
      const [seq = 0] = await tell(1);
      expect(await at.store.handOut({ seqs: [], deliveries: [deliveryOf('wh_1', seq)] })).toBe(true);
      const [first] = await list('wh_1');
      expect(await at.store.handOut({ seqs: [seq], deliveries: [deliveryOf('wh_1', seq), deliveryOf('wh_2', seq)] })).toBe(true);
      expect(await list('wh_1')).toEqual([first]);
      expect(await list('wh_2')).toHaveLength(1);
    });

    test('what is due comes in the order of the events, with the events and their age', async () => {
      const { seqs } = await leased(3);
      clock.set(clock.nowMs() + 5000);
      const found = await at.store.dueDeliveries({ webhookIds: ['wh_1'], limit: 2 });
      expect(found.map(({ delivery, event, ageMs }) => [delivery.eventSeq, event?.seq, event?.event.type, ageMs])).toEqual(
        seqs.slice(0, 2).map((seq) => [seq, seq, 'budget.exhausted', 5000]),
      );
      await at.raw(`DELETE FROM events WHERE seq = ${seqs[0]}`);
      expect((await at.store.dueDeliveries({ webhookIds: ['wh_1'], limit: 1 }))[0]?.event).toBeNull();
    });

    test('a subscription is leased to one at a time, and again when the lease is over', async () => {
      const { lease: first } = await leased();
      expect(await lease(10, 'two')).toEqual([]);
      clock.set(clock.nowMs() + LEASE_MS - 1);
      expect(await at.store.renewLease({ ...first, leaseMs: LEASE_MS })).toBe(true);
      clock.set(clock.nowMs() + LEASE_MS - 1);
      expect(await lease(10, 'two')).toEqual([]);
      clock.set(clock.nowMs() + 1);
      const [second] = await lease(10, 'two');
      expect(second).toEqual({ webhookId: 'wh_1', fence: first.fence + 1 });
      expect(await at.store.renewLease({ ...first, leaseMs: LEASE_MS })).toBe(false);
    });

    test('what the holder of an older lease says is ignored', async () => {
      const { seqs, lease: first } = await leased();
      const [seq = 0] = seqs;
      clock.set(clock.nowMs() + LEASE_MS);
      const [second] = (await lease(10, 'two')) as [DeliveryLease];
      const round = { epoch: 0, results: [result(refOf('wh_1', seq))], release: true };
      expect(await at.store.writeRounds([{ ...round, lease: first }])).toEqual([false]);
      expect(await due('wh_1')).toEqual([seq]);
      expect(await at.store.writeRounds([{ ...round, lease: second }])).toEqual([true]);
      expect(await due('wh_1')).toEqual([]);
    });

    test('the oldest wait is leased first, and no more than asked for', async () => {
      for (const webhookId of ['wh_a', 'wh_b', 'wh_c']) {
        const seqs = await tell(1);
        await at.store.handOut({ seqs, deliveries: seqs.map((seq) => deliveryOf(webhookId, seq)) });
        clock.set(clock.nowMs() + 10);
      }
      expect((await lease(2)).map(({ webhookId }) => webhookId)).toEqual(['wh_a', 'wh_b']);
      expect((await lease(2)).map(({ webhookId }) => webhookId)).toEqual(['wh_c']);
    });

    test('a success ends a delivery; a failure is tried again when it is due, and ends in the end', async () => {
      const { seqs, lease: held } = await leased();
      const ref = refOf('wh_1', seqs[0] ?? 0);
      const failure = { status: 'RETRYING', retryInMs: 4000, responseStatus: 503, error: 'answered 503' } as const;
      await at.store.writeRounds([{ lease: held, epoch: 0, results: [result(ref, failure)], release: true }]);
      expect(await list('wh_1')).toMatchObject([
        {
          status: 'RETRYING',
          attempts: 1,
          dueAtMs: clock.nowMs() + 4000,
          attemptedAtMs: clock.nowMs(),
          completedAtMs: null,
          responseStatus: 503,
        },
      ]);
      expect(await lease()).toEqual([]);
      clock.set(clock.nowMs() + 4000);
      const [again] = (await lease()) as [DeliveryLease];
      expect(await due('wh_1')).toEqual(seqs);
      const failed = result(ref, { status: 'FAILED', attempts: 2, responseStatus: null, responseTimeMs: null, error: 'no answer' });
      await at.store.writeRounds([{ lease: again, epoch: 0, results: [failed], release: true }]);
      expect(await list('wh_1')).toMatchObject([
        { status: 'FAILED', attempts: 2, dueAtMs: null, completedAtMs: clock.nowMs(), error: 'no answer' },
      ]);
      clock.set(clock.nowMs() + 3_600_000);
      expect(await lease()).toEqual([]);
    });

    test('failures in a row are counted within an epoch, and a success begins anew', async () => {
      const { seqs, lease: held } = await leased(6);
      const refs = seqs.map((seq) => refOf('wh_1', seq));
      const health = async () => (await at.store.webhookHealth(['wh_1', 'wh_none'])).get('wh_1');
      const failed = (ref: DeliveryRef | undefined): AttemptResult => result(ref as DeliveryRef, { status: 'FAILED', error: 'no' });
      const write = (epoch: number, results: AttemptResult[]) => at.store.writeRounds([{ lease: held, epoch, results, release: false }]);
      await write(0, [failed(refs[0]), failed(refs[1])]);
      expect(await health()).toMatchObject({ epoch: 0, failures: 2, lastSuccessAtMs: null, lastFailureAtMs: clock.nowMs() });
      await write(1, [failed(refs[2])]);
      expect(await health()).toMatchObject({ epoch: 1, failures: 1 });
      clock.set(clock.nowMs() + 10);
      await write(1, [result(refs[3] as DeliveryRef), failed(refs[4])]);
      expect(await health()).toMatchObject({ failures: 1, lastSuccessAtMs: clock.nowMs(), lastTriggeredAtMs: clock.nowMs() });
      // An attempt that will be made again is no failure yet, and what was never tried counts nothing.
      await write(1, [result(refs[5] as DeliveryRef, { status: 'FAILED', isCounted: false, error: 'too old' })]);
      expect(await health()).toMatchObject({ failures: 1 });
    });

    test('failures wait to be told, with the failures in a row, until they were', async () => {
      const { seqs, lease: held } = await leased(2);
      const refs = seqs.map((seq) => refOf('wh_1', seq));
      const results = refs.map((ref) => result(ref, { status: 'FAILED', error: 'no' }));
      await at.store.writeRounds([{ lease: held, epoch: 3, results, release: true }]);
      const untold = await at.store.untoldFailures({ limit: 10 });
      expect(untold.map(({ delivery, failures, epoch }) => [delivery.eventSeq, failures, epoch])).toEqual(seqs.map((seq) => [seq, 2, 3]));
      await at.store.markTold(refs.slice(0, 1));
      expect((await at.store.untoldFailures({ limit: 10 })).map(({ delivery }) => delivery.eventSeq)).toEqual(seqs.slice(1));
    });

    test('a subscription that is parked is left alone until then, or until it is woken', async () => {
      const { seqs, lease: held } = await leased();
      await at.store.writeRounds([{ lease: held, epoch: 0, results: [], release: true, parkMs: 15_000 }]);
      expect(await lease()).toEqual([]);
      await at.store.wakeDeliveries('wh_1');
      const [again] = (await lease()) as [DeliveryLease];
      await at.store.writeRounds([{ lease: again, epoch: 0, results: [], release: true, parkMs: 15_000 }]);
      clock.set(clock.nowMs() + 15_000);
      expect(await lease()).toHaveLength(1);
      expect(await due('wh_1')).toEqual(seqs);
      await at.store.wakeDeliveries('wh_none');
    });

    test('what waits for a subscription that is no more is forgotten, by the holder of the lease alone', async () => {
      const { seqs, lease: held } = await leased();
      await at.store.dropDeliveries({ ...held, fence: held.fence - 1 });
      expect(await due('wh_1')).toEqual(seqs);
      await at.store.dropDeliveries(held);
      expect(await due('wh_1')).toEqual([]);
      expect(await lease()).toEqual([]);
    });

    test('one replay of a subscription goes on at a time', async () => {
      const { seqs, lease: held } = await leased(2);
      const replay = (replayId: string) =>
        at.store.startReplay({ webhookId: 'wh_1', deliveries: seqs.map((seq) => deliveryOf('wh_1', seq, replayId)) });
      const both = await Promise.all([replay('rpl_1'), replay('rpl_2')]);
      expect(both.filter((each) => each)).toHaveLength(1);
      const replayId = both[0] === true ? 'rpl_1' : 'rpl_2';
      expect(await due('wh_1')).toEqual([seqs[0], seqs[0], seqs[1], seqs[1]]);
      await at.store.writeRounds([
        { lease: held, epoch: 0, results: seqs.map((seq) => result(refOf('wh_1', seq, replayId))), release: true },
      ]);
      expect(await replay('rpl_3')).toBe(true);
    });

    test('deliveries are listed newest first, by status and time, page by page', async () => {
      const made: number[] = [];
      for (let n = 0; n < 5; n++) {
        const seqs = await tell(1);
        await at.store.handOut({ seqs, deliveries: [...seqs.map((seq) => deliveryOf('wh_1', seq)), deliveryOf('wh_2', seqs[0] ?? 0)] });
        made.push(...seqs);
        clock.set(clock.nowMs() + 1000);
      }
      const [held] = (await lease(1)) as [DeliveryLease];
      const mine = held.webhookId;
      await at.store.writeRounds([{ lease: held, epoch: 0, results: [result(refOf(mine, made[1] ?? 0))], release: true }]);
      expect((await list(mine)).map(({ eventSeq }) => eventSeq)).toEqual(made.toReversed());
      expect((await list(mine, ['SUCCESS'])).map(({ eventSeq }) => eventSeq)).toEqual([made[1]]);
      const pages: number[] = [];
      for (let after: { createdAtMs: number; id: string } | null = null; ;) {
        const page: Delivery[] = await at.store.deliveries({ webhookId: mine, statuses: ['PENDING', 'SUCCESS'], after, limit: 2 });
        pages.push(...page.map(({ eventSeq }) => eventSeq));
        const last = page.at(-1);
        if (last === undefined) break;
        after = { createdAtMs: last.createdAtMs, id: last.id };
      }
      expect(pages).toEqual(made.toReversed());
      const [newest] = await list(mine);
      const fromMs = (newest?.createdAtMs ?? 0) - 2000;
      const within = await at.store.deliveries({
        webhookId: mine,
        statuses: ['PENDING'],
        fromMs,
        toMs: fromMs + 1000,
        after: null,
        limit: 10,
      });
      expect(within.map(({ eventSeq }) => eventSeq)).toEqual([made[3], made[2]]);
    });

    test('a delivery that has ended is forgotten when its time is over, one that has not is kept', async () => {
      const { seqs, lease: held } = await leased(2);
      await at.store.writeRounds([{ lease: held, epoch: 0, results: [result(refOf('wh_1', seqs[0] ?? 0))], release: true }]);
      const dayMs = 24 * 3_600_000;
      const keep = {
        eventsMs: 400 * dayMs,
        deliveriesMs: dayMs,
        idempotencyMs: dayMs,
        auditMs: 400 * dayMs,
        reservationsMs: 400 * dayMs,
        usageEventsMs: 400 * dayMs,
      };
      const moveTo = async (nowMs: number): Promise<void> => {
        clock.set(nowMs);
        await at.store.execute(commands.id('batch'), [commands.allocate(moneyOf('acme'), BigInt(nowMs))], 0);
      };
      const startMs = clock.nowMs();
      await moveTo(startMs + dayMs);
      await at.store.prune(keep);
      expect(await list('wh_1')).toHaveLength(2);
      await moveTo(startMs + dayMs + 1);
      await at.store.prune(keep);
      expect((await list('wh_1')).map(({ eventSeq }) => eventSeq)).toEqual([seqs[1]]);
    });

    test('activity adds up by the minute, and old minutes fall out of the window', async () => {
      const startMs = clock.nowMs() - (clock.nowMs() % 60_000);
      clock.set(startMs);
      await at.store.addActivity([
        { tenantId: 'acme', metric: 'denials', count: 2 },
        { tenantId: 'acme', metric: 'reservations', count: 5 },
      ]);
      await at.store.addActivity([{ tenantId: 'acme', metric: 'denials', count: 1 }]);
      clock.set(startMs + 60_000);
      await at.store.addActivity([{ tenantId: 'beta', metric: 'denials', count: 4 }]);
      const sums = async (windowMs: number) =>
        (await at.store.activitySums({ windowMs })).map(({ tenantId, metric, count }) => `${tenantId} ${metric} ${count}`).toSorted();
      expect(await sums(120_000)).toEqual(['acme denials 3', 'acme reservations 5', 'beta denials 4']);
      expect(await sums(60_000)).toEqual(['beta denials 4']);
    });

    test('what budgets spend is summed by the minute, from where the look before ended', async () => {
      const start = await at.store.budgetSpend({ afterSeq: null, limit: 10 });
      expect(start.spend).toEqual([]);
      const account = moneyOf('acme');
      await at.store.execute(commands.id('batch'), [commands.allocate(account, 10n ** 18n)], 0);
      const debit = (amount: bigint) => ({
        verb: 'debit' as const,
        id: commands.id('cmd'),
        tenantId: 'acme',
        debitId: commands.id('dbt'),
        accounts: [account],
        otherUnitAccounts: [],
        amount,
        overagePolicy: 'REJECT' as const,
      });
      await at.store.execute(commands.id('batch'), [debit(2n ** 55n), debit(1n)], 0);
      const found = await at.store.budgetSpend({ afterSeq: start.lastSeq, limit: 1000 });
      expect(found.spend).toEqual([{ accountId: account, minuteMs: clock.nowMs() - (clock.nowMs() % 60_000), spent: 2n ** 55n + 1n }]);
      expect((await at.store.budgetSpend({ afterSeq: found.lastSeq, limit: 1000 })).spend).toEqual([]);
    });

    test('keys whose time is over are found until they were told, and again when they expire again', async () => {
      const nowMs = clock.nowMs();
      const expireAt = (expiresAtMs: number) => ({
        verb: 'update-key' as const,
        id: commands.id('cmd'),
        tenantId: 'acme',
        keyId: 'key_1',
        expiresAtMs,
      });
      await at.store.execute('k', [commands.createKey('acme', 'key_1'), commands.createKey('acme', 'key_2'), expireAt(nowMs + 1000)], 0);
      const found = async () => (await at.store.untoldKeyExpiries({ limit: 10 })).map(({ id }) => id);
      const tellExpiry = async (): Promise<unknown> => {
        const id = commands.id('cmd');
        const { outcomes } = await at.store.execute(id, [{ verb: 'tell-key-expiry', id, tenantId: 'acme', keyId: 'key_1' }], 0);
        return outcomes[0];
      };
      expect(await found()).toEqual([]);
      expect(await tellExpiry()).toEqual({ ok: true, value: false });
      clock.set(nowMs + 1000);
      expect(await found()).toEqual(['key_1']);
      expect(await tellExpiry()).toEqual({ ok: true, value: true });
      expect(await found()).toEqual([]);
      expect(await tellExpiry()).toEqual({ ok: true, value: false });
      await at.store.execute('u', [expireAt(nowMs + 2000)], 0);
      expect(await found()).toEqual([]);
      clock.set(nowMs + 2000);
      expect(await found()).toEqual(['key_1']);
    });
  });
}

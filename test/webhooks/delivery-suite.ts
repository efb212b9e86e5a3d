import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { SYSTEM_TENANT } from '../../src/core/records.ts';
import type { MakeStore, TestClock, TestStore } from '../contract/test-store.ts';
import { makeDeliveryNode, SEND_LIMIT_MS, type DeliveryNode, type Receive } from './delivery-node.ts';
import { shareStore } from './shared-store.ts';

const HOUR_MS = 3_600_000;

/** A promise that a test fulfils. */
function gate<T>(): { readonly opened: Promise<T>; readonly open: (value: T) => void } {
  let open: (value: T) => void = () => undefined;
  const opened = new Promise<T>((resolve) => (open = resolve));
  return { opened, open };
}

/** How events reach receivers over a real store, whatever receivers, people and other nodes do meanwhile. */
export function describeDelivery(
  name: string,
  makeStore: MakeStore,
  openSecond?: (at: TestStore, clock: TestClock) => Promise<TestStore>,
): void {
  describe(`deliveries over ${name}`, () => {
    const shared = shareStore(makeStore);
    const { clock } = shared;
    let at: TestStore;
    let receive: Receive;
    let node: DeliveryNode;
    let named: string;
    const pass = (ms: number): void => clock.set(clock.nowMs() + ms);
    const eventsOf = (one: DeliveryNode): string[] => one.sent.map(({ eventId }) => eventId);

    beforeEach(async () => {
      named = await shared.renew();
      ({ at } = shared);
      receive = () => 200;
      node = makeDeliveryNode({ at, clock, name: named, receive: (request, count) => receive(request, count) });
    });
    afterEach(async () => {
      await node.idle();
      await node.writer.close();
    });

    test('an event reaches whoever asks for it, once: its tenant’s subscriptions and the operator’s, and no others', async () => {
      const own = await node.create({ tenantId: 'acme', url: 'https://own.example/' });
      const below = await node.create({ tenantId: 'acme', url: 'https://below.example/', scopeFilter: 'tenant:acme/*' });
      const operators = await node.create({ url: 'https://operator.example/' });
      await node.create({ tenantId: 'beta', url: 'https://beta.example/' });
      await node.create({ tenantId: 'acme', url: 'https://other.example/', eventTypes: ['budget.created'] });
      const [first = '', second = ''] = await node.tell('acme', 'tenant:acme', 'tenant:acme/app:x');
      await node.deliver();
      await node.deliver();
      const got = node.sent.map(({ url, eventId }) => `${new URL(url).hostname} ${eventId}`).toSorted();
      expect(got).toEqual(
        [
          `own.example ${first}`,
          `own.example ${second}`,
          `below.example ${second}`,
          `operator.example ${first}`,
          `operator.example ${second}`,
        ].toSorted(),
      );
      for (const { id } of [own, below, operators]) {
        for (const delivery of await node.deliveries(id)) expect(delivery).toMatchObject({ status: 'SUCCESS', attempts: 1, dueAtMs: null });
      }
    });

    test('first attempts of one tenant’s events go one after another in their order; other tenants’ go beside them', async () => {
      await node.create({});
      const slow = gate<number>();
      receive = ({ body }) => (body.includes('"acme"') ? slow.opened : 200);
      const acme = await node.tell('acme', {}, {}, {});
      const beta = await node.tell('beta', {}, {});
      await node.handOut();
      await node.begin();
      await expect.poll(() => eventsOf(node), { timeout: 10_000 }).toEqual(expect.arrayContaining([acme[0], ...beta]));
      // The first of acme's is not answered: none of its others has gone out.
      expect(eventsOf(node)).toHaveLength(3);
      slow.open(200);
      await node.idle();
      expect(eventsOf(node).filter((id) => acme.includes(id))).toEqual(acme);
      expect(eventsOf(node).filter((id) => beta.includes(id))).toEqual(beta);
    });

    test('what is not taken is sent again after the waits of the policy, and not before; the next events do not wait for it', async () => {
      const retryPolicy = { max_retries: 4, initial_delay_ms: 1000, backoff_multiplier: 3, max_delay_ms: 5000 };
      const { id } = await node.create({ tenantId: 'acme', retryPolicy });
      const [bad = '', good = ''] = await node.tell('acme', {}, {});
      receive = ({ eventId }) => (eventId === bad ? 503 : 204);
      const startMs = clock.nowMs();
      await node.deliver();
      expect(await node.deliveries(id)).toMatchObject([
        { eventId: good, status: 'SUCCESS' },
        { eventId: bad, status: 'RETRYING', attempts: 1, responseStatus: 503, error: 'answered 503', dueAtMs: startMs + 1000 },
      ]);
      for (const waitMs of [1000, 3000, 5000, 5000]) {
        pass(waitMs - 1);
        await node.serve();
        const before = node.sent.length;
        pass(1);
        await node.serve();
        expect(node.sent.length).toBe(before + 1);
      }
      const attempts = node.sent.filter(({ eventId }) => eventId === bad).map(({ atMs }) => atMs - startMs);
      expect(attempts).toEqual([0, 1000, 4000, 9000, 14_000]);
      expect(await node.deliveries(id, ['FAILED'])).toMatchObject([{ eventId: bad, attempts: 5, dueAtMs: null, responseStatus: 503 }]);
      pass(HOUR_MS);
      await node.serve();
      expect(node.sent).toHaveLength(6);
      expect(node.counted).toMatchObject({ SUCCESS: 1, RETRYING: 4, FAILED: 1 });
    });

    test('every attempt at one event has the same body, and the id by which a receiver knows it again', async () => {
      await node.create({ tenantId: 'acme' });
      receive = (_request, count) => (count === 1 ? null : 200);
      await node.tell('acme', {});
      await node.deliver();
      pass(1000);
      await node.serve();
      const [first, second] = node.sent;
      expect(second).toMatchObject({ eventId: first?.eventId, body: first?.body, requestId: first?.requestId });
      expect(JSON.parse(first?.body ?? '')).toMatchObject({ event_id: first?.eventId, event_type: 'budget.exhausted', tenant_id: 'acme' });
    });

    test('a delivery that failed for good is told of once, whoever is killed while it is told', async () => {
      const { id } = await node.create({ tenantId: 'acme', retryPolicy: { max_retries: 0 } });
      receive = () => 500;
      await node.tell('acme', {});
      await node.handOut();
      await node.serve();
      // Killed after the event was written and before its row was marked: the row is found again.
      const untold = await at.store.untoldFailures({ limit: 10 });
      expect(untold).toHaveLength(1);
      await node.tellFailures();
      await at.raw('UPDATE deliveries SET untold = true');
      await node.tellFailures();
      const told = await node.told('system.webhook_delivery_failed');
      expect(told).toMatchObject([
        { tenantId: SYSTEM_TENANT, data: { component: 'webhook_dispatcher', severity: 'warning', details: { subscription_id: id } } },
      ]);
    });

    test('as many failures in a row as allowed disable it, which is told once; a success in between begins anew', async () => {
      const { id } = await node.create({ tenantId: 'acme', retryPolicy: { max_retries: 0 }, disableAfterFailures: 2 });
      const answers = [500, 200, 500, 500];
      receive = (_request, count) => answers[count - 1] ?? 500;
      for (const [failures, status] of [
        [1, 'ACTIVE'],
        [0, 'ACTIVE'],
        [1, 'ACTIVE'],
        [2, 'DISABLED'],
      ]) {
        await node.tell('acme', {});
        await node.deliver();
        expect([await node.failures(id), (await node.webhook(id))?.status]).toEqual([failures, status]);
      }
      const told = await node.told('webhook.disabled');
      expect(told).toMatchObject([
        {
          tenantId: 'acme',
          data: {
            subscription_id: id,
            previous_status: 'ACTIVE',
            new_status: 'DISABLED',
            disable_reason: 'consecutive_failures_exceeded_threshold',
          },
          origin: { correlationId: expect.stringContaining(`webhook_auto_disable:${id}:`) as string },
        },
      ]);
      expect(node.counted.disabled).toBe(1);
      // Nothing is queued for it any more.
      await node.tell('acme', {});
      await node.deliver();
      expect(node.sent).toHaveLength(4);
      // Set ACTIVE it begins anew: without failures, and without what happened meanwhile.
      pass(1);
      await node.update(id, { status: 'ACTIVE' });
      await node.tell('acme', {});
      await node.deliver();
      expect(node.sent).toHaveLength(5);
      expect([await node.failures(id), (await node.webhook(id))?.status]).toEqual([1, 'ACTIVE']);
    });

    test('a change while a delivery is under way survives it, and the next request follows it', async () => {
      const { id } = await node.create({ tenantId: 'acme', disableAfterFailures: 1, url: 'https://old.example/' });
      const events = await node.tell('acme', {}, {});
      receive = async ({ url }) => {
        if (new URL(url).hostname === 'new.example') return 200;
        pass(5);
        await node.update(id, { url: 'https://new.example/', name: 'changed', secret: 'another secret of 32 characters.' });
        return 500;
      };
      await node.deliver();
      expect(node.sent.map(({ url, eventId }) => [new URL(url).hostname, eventId])).toEqual([
        ['old.example', events[0]],
        ['new.example', events[1]],
      ]);
      expect(node.sent[1]?.secret).toBe('another secret of 32 characters.');
      pass(1000);
      await node.serve();
      expect(await node.webhook(id)).toMatchObject({ url: 'https://new.example/', name: 'changed', status: 'ACTIVE' });
      expect((await node.deliveries(id)).map(({ status }) => status)).toEqual(['SUCCESS', 'SUCCESS']);
    });

    test('a change in the very millisecond of the one before is followed by the next request', async () => {
      const { id } = await node.create({ tenantId: 'acme', url: 'https://old.example/' });
      await node.tell('acme', {}, {});
      receive = async (_request, count) => {
        if (count === 1) await node.update(id, { url: 'https://new.example/' });
        return 200;
      };
      await node.deliver();
      expect(node.sent.map(({ url }) => new URL(url).hostname)).toEqual(['old.example', 'new.example']);
    });

    test('a pause while a delivery is under way keeps the rest; nothing is queued while it lasts, and what waited goes out after it', async () => {
      const { id } = await node.create({ tenantId: 'acme' });
      const [first, second] = await node.tell('acme', {}, {});
      receive = async () => {
        pass(1);
        await node.update(id, { status: 'PAUSED' });
        return 200;
      };
      await node.deliver();
      expect(eventsOf(node)).toEqual([first]);
      receive = () => 200;
      await node.tell('acme', {});
      await node.deliver();
      pass(1);
      await node.update(id, { status: 'ACTIVE' });
      await node.deliver();
      expect(eventsOf(node)).toEqual([first, second]);
      expect(await node.deliveries(id)).toHaveLength(2);
    });

    test('what was not delivered within a day has failed, untried, and does not count', async () => {
      const { id } = await node.create({ tenantId: 'acme', disableAfterFailures: 1 });
      await node.tell('acme', {});
      await node.handOut();
      pass(24 * HOUR_MS + 1);
      await node.deliver();
      expect(node.sent).toEqual([]);
      expect(await node.deliveries(id)).toMatchObject([{ status: 'FAILED', attempts: 0, error: 'it was not delivered within 24 hours' }]);
      expect([node.counted.stale, await node.failures(id), (await node.webhook(id))?.status]).toEqual([1, 0, 'ACTIVE']);
    });

    test('what waits for a subscription that is deleted is forgotten', async () => {
      const { id } = await node.create({ tenantId: 'acme' });
      await node.tell('acme', {});
      await node.handOut();
      await node.remove(id);
      await node.deliver();
      expect(node.sent).toEqual([]);
      expect(await node.deliveries(id)).toEqual([]);
    });

    test('a tenant’s subscription that selects what tenants must not see is sent none of it, whoever wrote that into its row', async () => {
      const { id } = await node.create({ tenantId: 'acme' });
      const webhook = await node.webhook(id);
      const types = ['budget.exhausted', 'api_key.created', 'policy.updated'];
      const body = JSON.stringify({ ...webhook, eventTypes: types, eventCategories: ['webhook', 'system'] });
      await at.raw(`UPDATE webhooks SET body = '${body.replaceAll("'", "''")}'`);
      await shared.recordsWritten();
      const fresh = makeDeliveryNode({ at, clock, name: `${named}f` });
      await fresh.tell('acme', { type: 'api_key.created' }, { type: 'policy.updated' }, { type: 'webhook.paused' }, {});
      await fresh.deliver();
      expect(fresh.sent.map(({ eventType }) => eventType)).toEqual(['budget.exhausted']);
      const now = await fresh.webhook(id);
      if (now === undefined) throw new Error('the webhook is gone');
      const replayed = await fresh.replay({ kind: 'operator', id: 'op', requestId: 'r' }, now, { types: null, maxEvents: 100 });
      expect(replayed).toMatchObject({ ok: true, value: { eventsQueued: 1 } });
      await fresh.writer.close();
    });

    describe('of two nodes', () => {
      let other: DeliveryNode;
      let second: TestStore;
      beforeEach(async () => {
        // An embedded store belongs to one process: there the second stands for the run after it, which may find leases of the first.
        second = openSecond === undefined ? at : await openSecond(at, clock);
        other = makeDeliveryNode({ at: second, clock, name: `${named}b`, receive: (request, count) => receive(request, count) });
      });
      afterEach(async () => {
        await other.idle();
        await other.writer.close();
        if (second !== at) await second.destroy();
      });

      test('no event is handed out or sent twice, and no two requests for one row run at once', async () => {
        for (let n = 0; n < 4; n++) await node.create({ tenantId: n % 2 === 0 ? 'acme' : 'beta', url: `https://h${n}.example/` });
        const running = new Set<string>();
        let overlaps = 0;
        receive = async ({ url, eventId }) => {
          const row = `${url} ${eventId}`;
          if (running.has(row)) overlaps += 1;
          running.add(row);
          await new Promise((resolve) => setImmediate(resolve));
          running.delete(row);
          return 200;
        };
        for (let round = 0; round < 3; round++) {
          await node.tell('acme', {}, {}, {});
          await node.tell('beta', {}, {}, {});
          await Promise.all([node.deliver(), other.deliver()]);
          await Promise.all([node.deliver(), other.deliver()]);
        }
        const rows = [...node.sent, ...other.sent].map(({ url, eventId }) => `${url} ${eventId}`);
        expect(rows).toHaveLength(2 * 2 * 9);
        expect(new Set(rows).size).toBe(rows.length);
        expect(overlaps).toBe(0);
      });

      test('one that comes back after its lease is over writes nothing: what the next one says stands', async () => {
        const { id } = await node.create({ tenantId: 'acme', retryPolicy: { max_retries: 0 }, disableAfterFailures: 1 });
        const [first, second] = await node.tell('acme', {}, {});
        const asleep = gate<number>();
        receive = (_request, count) => (other.sent.length === 0 && count === 1 ? asleep.opened : 200);
        await node.handOut();
        await node.begin();
        await expect.poll(() => eventsOf(node), { timeout: 10_000 }).toEqual([first]);
        // While the lease lasts nobody else may have it, however long the request takes.
        pass(SEND_LIMIT_MS);
        await other.serve();
        expect(other.sent).toEqual([]);
        pass(2 * SEND_LIMIT_MS);
        await other.serve();
        expect(eventsOf(other)).toEqual([first, second]);
        asleep.open(500);
        await node.idle();
        await node.tellFailures();
        expect(eventsOf(node)).toEqual([first]);
        expect((await node.deliveries(id)).map(({ status }) => status)).toEqual(['SUCCESS', 'SUCCESS']);
        expect([await node.failures(id), (await node.webhook(id))?.status]).toEqual([0, 'ACTIVE']);
      });

      test('what another node is asked for is known where it is delivered: new subscriptions, addresses, and those set ACTIVE', async () => {
        await other.handOut();
        const { id } = await node.create({ tenantId: 'acme', url: 'https://old.example/' });
        await node.tell('acme', {});
        await node.handOut();
        await other.serve();
        expect(other.sent.map(({ url }) => new URL(url).hostname)).toEqual(['old.example']);
        pass(1);
        await node.update(id, { url: 'https://new.example/', status: 'PAUSED' });
        pass(1);
        await node.update(id, { status: 'ACTIVE' });
        await node.tell('acme', {});
        await node.handOut();
        await other.serve();
        expect(other.sent.map(({ url }) => new URL(url).hostname)).toEqual(['old.example', 'new.example']);
      });
    });
  });
}

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Webhook } from '../../src/core/records.ts';
import type { ReplayRequest } from '../../src/app/webhooks/replay-events.ts';
import type { MakeStore, TestStore } from '../contract/test-store.ts';
import { makeDeliveryNode, OPERATOR, type DeliveryNode, type Receive } from './delivery-node.ts';
import { shareStore } from './shared-store.ts';

/** Events that are sent again, tests of subscriptions, and actions on many, over a real store. */
export function describeReplays(name: string, makeStore: MakeStore): void {
  describe(`replays and probes over ${name}`, () => {
    const shared = shareStore(makeStore);
    const { clock } = shared;
    let at: TestStore;
    let receive: Receive;
    let node: DeliveryNode;
    let named: string;

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

    const pass = (ms: number): void => clock.set(clock.nowMs() + ms);
    const current = async (id: string): Promise<Webhook> => {
      const webhook = await node.webhook(id);
      if (webhook === undefined) throw new Error('there is no such webhook');
      return webhook;
    };
    const replay = async (id: string, request: Partial<ReplayRequest> = {}) =>
      node.replay(OPERATOR, await current(id), { types: null, maxEvents: 100, ...request });
    const sentIds = (): string[] => node.sent.map(({ eventId }) => eventId);

    test('what a subscription asks for in a range is sent again in its order, from before it was made as well', async () => {
      const before = await node.tell('acme', {}, {});
      await node.tell('beta', {});
      await node.tell('acme', { type: 'budget.created' });
      await node.deliver();
      const { id } = await node.create({ tenantId: 'acme' });
      expect(await replay(id)).toMatchObject({ ok: true, value: { eventsQueued: 2, estimatedSeconds: 1 } });
      await node.serve();
      expect(sentIds()).toEqual(before);
      const [delivery] = await node.deliveries(id);
      expect(delivery).toMatchObject({ status: 'SUCCESS', replayId: expect.stringMatching(/^rpl_/) as string });
    });

    test('the range has both its ends, and types narrow what the subscription selects', async () => {
      const { id } = await node.create({ eventTypes: ['budget.exhausted', 'budget.funded'] });
      await node.handOut();
      const moments: number[] = [];
      const ids: string[] = [];
      for (let n = 0; n < 4; n++) {
        pass(1000);
        moments.push(clock.nowMs());
        ids.push(...(await node.tell('acme', { type: n === 1 ? 'budget.funded' : 'budget.exhausted' })));
      }
      await node.deliver();
      expect(sentIds()).toEqual(ids);
      const [, fromMs = 0, toMs = 0] = moments;
      expect(await replay(id, { fromMs, toMs })).toMatchObject({ value: { eventsQueued: 2 } });
      await node.serve();
      expect(sentIds().slice(4)).toEqual(ids.slice(1, 3));
      expect(await replay(id, { fromMs, toMs, types: ['budget.exhausted'] })).toMatchObject({ value: { eventsQueued: 1 } });
      await node.serve();
      expect(sentIds().slice(6)).toEqual(ids.slice(2, 3));
      expect(await replay(id, { types: ['budget.frozen'] })).toMatchObject({ value: { eventsQueued: 0 } });
      expect(await replay(id, { fromMs: 2, toMs: 1 })).toMatchObject({ ok: false, rejection: { code: 'invalid_request', field: 'from' } });
    });

    test('it counts what would be delivered and not what lies between; one more than the most is refused whole', async () => {
      const { id } = await node.create({ tenantId: 'acme', scopeFilter: 'tenant:acme/app:x' });
      const scopes = Array.from({ length: 12 }, (_, n) => (n % 4 === 0 ? 'tenant:acme/app:x' : 'tenant:acme/app:y'));
      await node.tell('acme', ...scopes);
      await node.handOut();
      await node.serve();
      expect(node.sent).toHaveLength(3);
      expect(await replay(id, { maxEvents: 2 })).toMatchObject({ ok: false, rejection: { code: 'invalid_request', field: 'max_events' } });
      expect(await node.deliveries(id)).toHaveLength(3);
      expect(await replay(id, { maxEvents: 3 })).toMatchObject({ ok: true, value: { eventsQueued: 3 } });
    });

    test('a second one is refused until the first is delivered', async () => {
      const { id } = await node.create({ tenantId: 'acme', retryPolicy: { initial_delay_ms: 1000 } });
      await node.tell('acme', {});
      await node.deliver();
      receive = () => 500;
      expect(await replay(id)).toMatchObject({ ok: true });
      expect(await replay(id)).toMatchObject({ ok: false, rejection: { code: 'replay_in_progress' } });
      await node.serve();
      expect(await replay(id)).toMatchObject({ ok: false, rejection: { code: 'replay_in_progress' } });
      receive = () => 200;
      pass(1000);
      await node.serve();
      expect(await replay(id)).toMatchObject({ ok: true, value: { eventsQueued: 1 } });
    });

    test('of two at once one begins', async () => {
      const { id } = await node.create({ tenantId: 'acme' });
      await node.tell('acme', {}, {});
      await node.handOut();
      const outcomes = await Promise.all([replay(id), replay(id), replay(id)]);
      expect(outcomes.filter(({ ok }) => ok)).toHaveLength(1);
      await node.serve();
      // Each event once because it happened, and once because of the replay.
      expect(node.sent).toHaveLength(4);
    });

    test('one that is not ACTIVE is accepted and queues nothing', async () => {
      const { id } = await node.create({ tenantId: 'acme' });
      await node.tell('acme', {});
      await node.update(id, { status: 'PAUSED' });
      expect(await replay(id)).toMatchObject({ ok: true, value: { eventsQueued: 0 } });
      expect(await node.deliveries(id)).toEqual([]);
    });

    test('a replay tells of nothing, and leaves a line of the audit', async () => {
      const { id } = await node.create({ tenantId: 'acme' });
      await node.tell('acme', {});
      await node.deliver();
      const events = async () => (await at.raw('SELECT count(*) AS n FROM events'))[0]?.['n'];
      const before = String(await events());
      await replay(id);
      await node.serve();
      expect(String(await events())).toBe(before);
      expect(await at.raw(`SELECT operation FROM audit WHERE operation = 'replayEvents' AND resource_id = '${id}'`)).toHaveLength(1);
    });

    test('a probe goes to the one subscription whatever its state and selectors, and counts towards nothing', async () => {
      const { id } = await node.create({ tenantId: 'acme', disableAfterFailures: 1, scopeFilter: 'tenant:acme/*' });
      const all = await node.create({ eventTypes: ['system.webhook_test', 'budget.exhausted'] });
      await node.update(id, { status: 'PAUSED' });
      receive = () => 500;
      const probed = await node.probe(OPERATOR, await current(id));
      expect(probed).toMatchObject({ ok: true, value: { success: false, responseStatus: 500, responseTimeMs: 7, error: 'answered 500' } });
      receive = () => null;
      expect(await node.probe(OPERATOR, await current(id))).toMatchObject({
        value: { success: false, responseStatus: null, error: 'no answer' },
      });
      receive = () => 204;
      expect(await node.probe(OPERATOR, await current(id))).toMatchObject({ value: { success: true, responseStatus: 204, error: null } });
      await node.deliver();
      expect(node.sent.map(({ eventType, url }) => [eventType, url])).toEqual(Array(3).fill(['system.webhook_test', all.url]));
      expect([await node.failures(id), (await current(id)).status]).toEqual([0, 'PAUSED']);
      expect(await node.told('system.webhook_delivery_failed')).toEqual([]);
      expect((await node.deliveries(id)).map(({ status }) => status).toSorted()).toEqual(['FAILED', 'FAILED', 'SUCCESS']);
      expect(await node.deliveries(all.id)).toEqual([]);
    });

    test('an action on many skips what is there already, and revives none that is DISABLED', async () => {
      const [a, b, c] = [
        await node.create({ tenantId: 'acme' }),
        await node.create({ tenantId: 'acme' }),
        await node.create({ tenantId: 'beta' }),
      ];
      await node.update(b.id, { status: 'PAUSED' });
      const act = async (action: 'PAUSE' | 'RESUME' | 'DELETE', key: string, expectedCount: number | null = null) => {
        const matches = { tenantId: 'acme', search: null };
        const outcome = await node.bulk(OPERATOR, {
          action,
          filter: { tenant_id: 'acme' },
          matches,
          idempotencyKey: `${named} ${key}`,
          expectedCount,
        });
        if (!outcome.ok) return outcome.rejection.code;
        const { succeeded, skipped, failed } = outcome.value;
        return [succeeded, skipped, failed].map((rows) => rows.map(({ id }) => id));
      };
      expect(await act('PAUSE', 'k1', 3)).toBe('count_mismatch');
      expect(await act('PAUSE', 'k2', 2)).toEqual([[a.id], [b.id], []]);
      await at.raw(
        `UPDATE webhooks SET body = replace(CAST(body AS text), '"PAUSED"', '"DISABLED"')${name === 'SQLite' ? '' : '::jsonb'} WHERE id = '${a.id}'`,
      );
      await shared.recordsWritten();
      expect(await act('RESUME', 'k3')).toEqual([[b.id], [], [a.id]]);
      expect((await node.webhook(a.id))?.status).toBe('DISABLED');
      expect(await act('DELETE', 'k4')).toEqual([[a.id, b.id], [], []]);
      expect(await node.webhook(a.id)).toBeUndefined();
      expect((await current(c.id)).status).toBe('ACTIVE');
    });
  });
}

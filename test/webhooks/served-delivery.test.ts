import { createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../../src/server/boot.ts';
import { credentialsOf, makeFolders } from '../observability/started.ts';
import { parseExposition } from '../observability/exposition.ts';
import { expectAnswer, expectEvent } from '../support/cycles-answers.ts';
import { makeHttpClient, type HttpClient } from '../support/http-client.ts';
import { waitUntil } from '../support/wait-until.ts';
import { startWebhookReceiver, type ReceivedHook, type WebhookReceiver } from '../support/webhook-receiver.ts';

const TENANT = 'acme-corp';
const SCOPE = `tenant:${TENANT}`;
const UNIT = 'USD_MICROCENTS';
const DAY_MS = 86_400_000;

/** What a subscription, an event and a delivery show that these tests look at. */
interface Subscription {
  readonly subscription_id: string;
  readonly status: string;
  readonly consecutive_failures: number;
}
interface Shown {
  readonly event_id: string;
  readonly event_type: string;
  readonly tenant_id: string;
  readonly correlation_id?: string;
  readonly data: Readonly<Record<string, unknown>>;
}
interface ShownDelivery {
  readonly event_id: string;
  readonly status: string;
  readonly attempts: number;
  readonly error_message?: string;
}

/** What waits for a test to go on. */
function gate(): { readonly opened: Promise<number>; readonly open: (status: number) => void } {
  let open: (status: number) => void = () => undefined;
  return { opened: new Promise<number>((resolve) => (open = resolve)), open: (status) => open(status) };
}

/** Deliveries of the running server to a receiver over HTTP. */
describe('the running server delivers to a receiver', () => {
  const folders = makeFolders();
  let laterMs = 0;
  let running: Running;
  let dataDir: string;
  let http: HttpClient;
  let hooks: WebhookReceiver;
  let operatorKey: string;

  const ask = async <T = Record<string, unknown>>(
    operation: string,
    [method, path]: readonly [method: string, path: string],
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly status: number; readonly body: T }> => {
    const url = `${running.listeners.admin.origin}${path}`;
    const answer = await http.ask(url, { method, headers: { 'x-admin-api-key': operatorKey, ...headers }, body });
    const parsed = answer.text === '' ? undefined : answer.json<T>();
    expectAnswer(operation, answer.status, parsed, 'governance');
    return { status: answer.status, body: parsed as T };
  };
  /** Makes a subscription to a path of the receiver. */
  const subscribe = async (path: string, given: object = {}): Promise<{ readonly id: string; readonly secret: string }> => {
    const body = { url: `${hooks.url}${path}`, event_types: ['budget.funded'], ...given };
    const made = await ask<{ subscription: Subscription; signing_secret: string }>(
      'createWebhookSubscription',
      ['POST', `/v1/admin/webhooks?tenant_id=${TENANT}`],
      body,
    );
    expect(made.status).toBe(201);
    return { id: made.body.subscription.subscription_id, secret: made.body.signing_secret };
  };
  let funds = 0;
  /** Funds the budget, which is told as one event. */
  const fund = async (headers: Readonly<Record<string, string>> = {}): Promise<void> => {
    const body = { operation: 'CREDIT', amount: { unit: UNIT, amount: 1 }, idempotency_key: `fund-${(funds += 1)}` };
    const answer = await ask(
      'fundBudget',
      ['POST', `/v1/admin/budgets/fund?tenant_id=${TENANT}&scope=${SCOPE}&unit=${UNIT}`],
      body,
      headers,
    );
    expect(answer.status).toBe(200);
  };
  const subscription = async (id: string): Promise<Subscription> =>
    (await ask<Subscription>('getWebhookSubscription', ['GET', `/v1/admin/webhooks/${id}`])).body;
  const patch = async (id: string, body: object): Promise<void> => {
    expect((await ask('updateWebhookSubscription', ['PATCH', `/v1/admin/webhooks/${id}`], body)).status).toBe(200);
  };
  const deliveries = async (id: string): Promise<ShownDelivery[]> =>
    (await ask<{ deliveries: ShownDelivery[] }>('listWebhookDeliveries', ['GET', `/v1/admin/webhooks/${id}/deliveries`])).body.deliveries;
  const events = async (type: string): Promise<Shown[]> =>
    (await ask<{ events: Shown[] }>('listEvents', ['GET', `/v1/admin/events?event_type=${type}&sort_by=timestamp&sort_dir=asc&limit=100`]))
      .body.events;
  const arrived = (path: string, count: number): Promise<void> => waitUntil(() => Promise.resolve(hooks.at(path).length >= count));
  const ended = async (id: string, ...statuses: string[]): Promise<void> =>
    waitUntil(async () => (await deliveries(id)).map(({ status }) => status).toString() === statuses.toString());
  const counted = async (name: string): Promise<number> => {
    const url = `${running.listeners.admin.origin}/metrics`;
    const scraped = parseExposition((await http.ask(url, { headers: { 'x-admin-api-key': operatorKey } })).text);
    return scraped.value(name, {}) ?? 0;
  };

  beforeAll(async () => {
    const folder = folders.make();
    ({ dataDir } = folder);
    hooks = await startWebhookReceiver();
    http = makeHttpClient();
    running = await folder.start({ overrides: { clock: { nowMs: () => Date.now() + laterMs } } });
    operatorKey = credentialsOf(folder).operator_key;
    const security = { allow_http: true, blocked_cidr_ranges: [] };
    expect((await ask('updateWebhookSecurityConfig', ['PUT', '/v1/admin/config/webhook-security'], security)).status).toBe(200);
    await ask('createTenant', ['POST', '/v1/admin/tenants'], { tenant_id: TENANT, name: 'Acme' });
    await ask('createBudget', ['POST', '/v1/admin/budgets'], {
      tenant_id: TENANT,
      scope: SCOPE,
      unit: UNIT,
      allocated: { unit: UNIT, amount: 1_000_000 },
    });
  });
  afterAll(async () => {
    await http.close();
    await hooks.close();
    await folders.dispose();
  });
  afterEach(async () => {
    hooks.answer(() => 204);
    // Whatever a test subscribed hears no more of the next one's events.
    const found = await ask<{ subscriptions: Subscription[] }>('listWebhookSubscriptions', ['GET', '/v1/admin/webhooks']);
    for (const { subscription_id: id } of found.body.subscriptions)
      await ask('deleteWebhookSubscription', ['DELETE', `/v1/admin/webhooks/${id}`]);
  });

  test('a delivery is the event as lists show it, signed over its very bytes, with the headers of the protocol and its own', async () => {
    const { secret } = await subscribe('/signed', { headers: { Authorization: 'Bearer of-the-receiver', 'X-Team': 'finance' } });
    const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
    await fund({ traceparent: `00-${trace}-00f067aa0ba902b7-00` });
    await arrived('/signed', 1);
    const [hook] = hooks.at('/signed') as [ReceivedHook];
    expect(hook).toMatchObject({ method: 'POST', httpVersion: '1.1' });
    const body = JSON.parse(hook.raw.toString()) as Shown & { readonly request_id: string };
    expectEvent(body);
    expect((await ask('getEvent', ['GET', `/v1/admin/events/${hook.eventId}`])).body).toEqual(body);
    expect(body).toMatchObject({ event_type: 'budget.funded', tenant_id: TENANT, trace_id: trace });
    // As a receiver verifies it: over the bytes, before anything reads them.
    expect(hook.headers['x-cycles-signature']).toBe(`sha256=${createHmac('sha256', secret).update(hook.raw).digest('hex')}`);
    expect(hook.headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(hook.raw.length),
      'x-cycles-event-id': body.event_id,
      'x-cycles-event-type': 'budget.funded',
      'x-cycles-trace-id': trace,
      'x-request-id': body.request_id,
      authorization: 'Bearer of-the-receiver',
      'x-team': 'finance',
    });
    expect(hook.headers['user-agent']).toMatch(/^cycles-server-events\/\d+\.\d+\.\d+/);
    expect(hook.headers['traceparent']).toMatch(new RegExp(`^00-${trace}-(?!00f067aa0ba902b7)[0-9a-f]{16}-00$`));
    expect(secret).toMatch(/^whsec_[A-Za-z0-9]{43}$/);
  });

  test('a secret that was changed signs the next delivery', async () => {
    const { id } = await subscribe('/rotated');
    const next = 'a-secret-of-the-receiver-0123456789';
    await patch(id, { signing_secret: next });
    await fund();
    await arrived('/rotated', 1);
    const [hook] = hooks.at('/rotated') as [ReceivedHook];
    expect(hook.headers['x-cycles-signature']).toBe(`sha256=${createHmac('sha256', next).update(hook.raw).digest('hex')}`);
  });

  test('secrets and headers lie sealed in the store, and go on signing after the master key was changed', async () => {
    const { secret } = await subscribe('/resealed', { headers: { 'X-Token': 'header-value-that-nobody-may-read' } });
    const sign = (hook: ReceivedHook): string => `sha256=${createHmac('sha256', secret).update(hook.raw).digest('hex')}`;
    for (const [count, change] of [
      [1, false],
      [2, true],
    ] as const) {
      if (change) {
        const url = `${running.listeners.admin.origin}/v1/x-castellan/rotate-master-key`;
        expect((await http.ask(url, { method: 'POST', headers: { 'x-admin-api-key': operatorKey } })).status).toBe(200);
      }
      await fund();
      await arrived('/resealed', count);
      const hook = hooks.at('/resealed')[count - 1] as ReceivedHook;
      expect(hook.headers['x-cycles-signature']).toBe(sign(hook));
      expect(hook.headers['x-token']).toBe('header-value-that-nobody-may-read');
    }
    for (const name of readdirSync(dataDir).filter((each) => each.startsWith('castellan.db'))) {
      const bytes = readFileSync(join(dataDir, name));
      expect([name, bytes.includes(secret), bytes.includes('header-value-that-nobody-may-read')]).toEqual([name, false, false]);
    }
  });

  test('first attempts come in the order of the events, one at a time', async () => {
    const { id } = await subscribe('/ordered');
    let open = 0;
    let most = 0;
    hooks.answer(async () => {
      most = Math.max(most, (open += 1));
      await new Promise((resolve) => setImmediate(resolve));
      open -= 1;
      return 200;
    });
    const made = async () => [await counted('cycles_admin_events_emitted_total'), await counted('cycles_admin_webhook_dispatched_total')];
    const [emitted = 0, dispatched = 0] = await made();
    for (let n = 0; n < 12; n++) await fund();
    await arrived('/ordered', 12);
    const [emittedThen = 0, dispatchedThen = 0] = await made();
    // One event of the test's own subscription may have been handed out after the first look.
    expect(emittedThen - emitted).toBeGreaterThanOrEqual(12);
    expect(dispatchedThen - dispatched).toBe(12);
    const shown = (await events('budget.funded')).map(({ event_id: eventId }) => eventId);
    expect(hooks.at('/ordered').map(({ eventId }) => eventId)).toEqual(shown.slice(-12));
    expect(most).toBe(1);
    await ended(id, ...Array<string>(12).fill('SUCCESS'));
  });

  test('what is not taken is sent again with longer and longer waits until it is, and shows its attempts', async () => {
    const { id } = await subscribe('/retried', { retry_policy: { max_retries: 3, initial_delay_ms: 100, backoff_multiplier: 3 } });
    hooks.answer((_hook, count) => (count - before < 3 ? 503 : 200));
    const before = hooks.received.length;
    const retried = await counted('cycles_webhook_delivery_retried_total');
    await fund();
    await ended(id, 'SUCCESS');
    const hits = hooks.at('/retried');
    expect(hits).toHaveLength(3);
    expect(new Set(hits.map(({ raw }) => raw.toString())).size).toBe(1);
    const [first = 0, second = 0, third = 0] = hits.map(({ atMs }) => atMs);
    expect(second - first).toBeGreaterThanOrEqual(99);
    expect(third - second).toBeGreaterThanOrEqual(299);
    expect(await deliveries(id)).toMatchObject([{ status: 'SUCCESS', attempts: 3, response_status: 200 }]);
    expect((await subscription(id)).consecutive_failures).toBe(0);
    expect(await counted('cycles_webhook_delivery_retried_total')).toBe(retried + 2);
  });

  test('too many failures disable it, which is told to the operator and counted; set ACTIVE it begins anew', async () => {
    const { id } = await subscribe('/failing', { retry_policy: { max_retries: 0 }, disable_after_failures: 2 });
    const told = await subscribe('/told', { event_types: ['webhook.disabled', 'system.webhook_delivery_failed'] }).catch(() => null);
    // A tenant's own subscription may not select them.
    expect(told).toBeNull();
    const names = ['attempts', 'failed', 'success'].map((each) => `cycles_webhook_delivery_${each}_total`);
    const figures = async (): Promise<number[]> =>
      Promise.all(
        [...names, 'cycles_webhook_subscription_auto_disabled_total', 'cycles_webhook_delivery_latency_seconds_count'].map(counted),
      );
    const before = await figures();
    hooks.answer(() => 500);
    await fund();
    await fund();
    await waitUntil(async () => (await subscription(id)).status === 'DISABLED');
    expect(await subscription(id)).toMatchObject({ consecutive_failures: 2 });
    const disabled = (await events('webhook.disabled')).filter(({ data }) => data['subscription_id'] === id);
    expect(disabled).toMatchObject([
      {
        tenant_id: TENANT,
        correlation_id: expect.stringMatching(new RegExp(`^webhook_auto_disable:${id}:`)) as string,
        data: { previous_status: 'ACTIVE', new_status: 'DISABLED', disable_reason: 'consecutive_failures_exceeded_threshold' },
      },
    ]);
    const failed = (await events('system.webhook_delivery_failed')).filter(({ data }) => JSON.stringify(data['details']).includes(id));
    expect(failed).toHaveLength(2);
    await waitUntil(async () => (await counted('cycles_webhook_subscription_auto_disabled_total')) > (before[3] ?? 0));
    const [attempts = 0, failures = 0, successes = 0, disables = 0, latencies = 0] = before;
    expect(await figures()).toEqual([attempts + 2, failures + 2, successes, disables + 1, latencies + 2]);
    hooks.answer(() => 204);
    await patch(id, { status: 'ACTIVE' });
    expect(await subscription(id)).toMatchObject({ status: 'ACTIVE', consecutive_failures: 0 });
    await fund();
    await ended(id, 'SUCCESS', 'FAILED', 'FAILED');
  });

  test('a change while a delivery is under way survives what the delivery writes', async () => {
    const { id } = await subscribe('/changing', { disable_after_failures: 1, retry_policy: { max_retries: 0 } });
    const under = gate();
    hooks.answer(() => under.opened);
    await fund();
    await arrived('/changing', 1);
    await patch(id, { url: `${hooks.url}/changed`, name: 'renamed', disable_after_failures: 3 });
    under.open(500);
    await ended(id, 'FAILED');
    await waitUntil(async () => (await subscription(id)).consecutive_failures === 1);
    expect(await subscription(id)).toMatchObject({
      url: `${hooks.url}/changed`,
      name: 'renamed',
      status: 'ACTIVE',
      disable_after_failures: 3,
    });
    hooks.answer(() => 200);
    await fund();
    await arrived('/changed', 1);
  });

  test('a replay sends what the subscription asks for, is refused when that is too much, and while one goes on', async () => {
    const { id } = await subscribe('/replayed', { scope_filter: SCOPE });
    const all = await events('budget.funded');
    const replay = (body: object) => ask<{ events_queued: number }>('replayEvents', ['POST', `/v1/admin/webhooks/${id}/replay`], body);
    expect(await replay({ max_events: all.length - 1 })).toMatchObject({ status: 400, body: { error: 'INVALID_REQUEST' } });
    const under = gate();
    hooks.answer(() => under.opened);
    expect(await replay({ max_events: all.length })).toMatchObject({ status: 202, body: { events_queued: all.length } });
    await arrived('/replayed', 1);
    expect(await replay({})).toMatchObject({ status: 409, body: { error: 'REPLAY_IN_PROGRESS' } });
    under.open(200);
    await arrived('/replayed', all.length);
    expect(hooks.at('/replayed').map(({ eventId }) => eventId)).toEqual(all.map(({ event_id: eventId }) => eventId));
    await waitUntil(async () => (await deliveries(id)).every(({ status }) => status === 'SUCCESS'));
    expect((await events('budget.funded')).length).toBe(all.length);
  });

  test('a probe goes out at once, counts for nothing, and is shown among the deliveries', async () => {
    const { id } = await subscribe('/probed', { disable_after_failures: 1 });
    hooks.answer(() => 410);
    const probed = await ask<{ event_id: string }>('testWebhookSubscription', ['POST', `/v1/admin/webhooks/${id}/test`]);
    expect(probed.body).toMatchObject({ success: false, response_status: 410 });
    const [hook] = hooks.at('/probed') as [ReceivedHook];
    expect(hook.eventId).toBe(probed.body.event_id);
    expectEvent(JSON.parse(hook.raw.toString()));
    expect(await deliveries(id)).toMatchObject([{ event_id: hook.eventId, status: 'FAILED' }]);
    expect(await subscription(id)).toMatchObject({ status: 'ACTIVE', consecutive_failures: 0 });
  });

  test('a receiver whose network was blocked meanwhile is sent nothing, and its owner learns why without an address', async () => {
    const { id } = await subscribe('/blocked', { retry_policy: { max_retries: 0 } });
    const configure = (security: object) => ask('updateWebhookSecurityConfig', ['PUT', '/v1/admin/config/webhook-security'], security);
    await configure({ allow_http: true, blocked_cidr_ranges: ['127.0.0.0/8'] });
    await fund();
    await ended(id, 'FAILED');
    expect(hooks.at('/blocked')).toEqual([]);
    expect(await deliveries(id)).toMatchObject([{ error_message: 'url leads to an address that is blocked' }]);
    await configure({ allow_http: true, blocked_cidr_ranges: [] });
  });

  test('a host that nobody can resolve is accepted, and fails when something is sent to it', async () => {
    const { id } = await subscribe('', { url: 'http://nobody.invalid/hook', retry_policy: { max_retries: 0 } });
    await fund();
    await ended(id, 'FAILED');
    expect(await deliveries(id)).toMatchObject([{ error_message: 'the host could not be resolved' }]);
  });

  test('what nobody could be sent for a day has failed, and counts as stale', async () => {
    const { id } = await subscribe('/late');
    const stale = await counted('cycles_webhook_delivery_stale_total');
    const under = gate();
    hooks.answer(() => under.opened);
    await fund();
    await arrived('/late', 1);
    await fund();
    await waitUntil(async () => (await deliveries(id)).length === 2);
    await patch(id, { status: 'PAUSED' });
    under.open(200);
    await ended(id, 'PENDING', 'SUCCESS');
    laterMs = DAY_MS + 60_000;
    await waitUntil(async () => {
      // A subscription that is paused is looked at again after a while, which may have begun just now.
      laterMs += 1000;
      return (await deliveries(id)).every(({ status }) => status !== 'PENDING');
    });
    await ended(id, 'FAILED', 'SUCCESS');
    expect(await deliveries(id)).toMatchObject([{ attempts: 0, error_message: 'it was not delivered within 24 hours' }, {}]);
    expect(hooks.at('/late')).toHaveLength(1);
    expect(await counted('cycles_webhook_delivery_stale_total')).toBe(stale + 1);
  });
});

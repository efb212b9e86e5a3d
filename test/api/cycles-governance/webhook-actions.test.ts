import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeHooks, type Hooks } from './webhook-harness.ts';

let hooks: Hooks;
beforeAll(async () => {
  hooks = await makeHooks();
});
afterAll(() => hooks.close());

const WEBHOOKS = '/v1/admin/webhooks';

type Body = Record<string, unknown>;
const refused = (field: string): object => ({ error: 'INVALID_REQUEST', message: expect.stringContaining(field) as string });
const list = async (query = '') => {
  const { status, body } = await hooks.operator.ask<{ subscriptions: Body[]; has_more: boolean; next_cursor?: string }>(
    'listWebhookSubscriptions',
    'GET',
    `${WEBHOOKS}?${query}`,
  );
  expect({ status, body }).toMatchObject({ status: 200 });
  return body;
};

describe('testWebhookSubscription', () => {
  const probe = (id: string) => hooks.operator.ask<Body>('testWebhookSubscription', 'POST', `${WEBHOOKS}/${id}/test`);

  test('200: tells how the receiver answered, counts nothing and changes no status', async () => {
    await hooks.allowLoopback();
    const { id } = await hooks.subscribe({ url: hooks.receiver.url, disable_after_failures: 1, headers: { 'X-Team': 'ops' } }, 'acme');
    await hooks.patch(id, { status: 'PAUSED' });
    const before = hooks.receiver.received.length;
    hooks.receiver.status = 204;
    const good = await probe(id);
    expect(good).toMatchObject({ status: 200, body: { success: true, response_status: 204 } });
    const got = hooks.receiver.received[before];
    expect(got?.headers).toMatchObject({
      'x-cycles-event-type': 'system.webhook_test',
      'x-cycles-event-id': good.body['event_id'],
      'x-team': 'ops',
    });
    hooks.receiver.status = 503;
    expect((await probe(id)).body).toMatchObject({ success: false, response_status: 503, error_message: expect.any(String) as string });
    hooks.receiver.status = 204;
    expect(await hooks.show(id)).toMatchObject({ status: 'PAUSED', consecutive_failures: 0 });
    const { body } = await hooks.operator.ask<Body>('listWebhookDeliveries', 'GET', `${WEBHOOKS}/${id}/deliveries`);
    expect(body['deliveries']).toMatchObject([
      { status: 'FAILED', event_type: 'system.webhook_test', response_status: 503, attempts: 1 },
      { status: 'SUCCESS', event_id: good.body['event_id'], response_status: 204, attempts: 1 },
    ]);
  });

  test('200 with success false: a host that cannot be resolved was accepted at creation and fails at the send', async () => {
    const { id } = await hooks.subscribe({ url: 'https://nobody-knows.example.org/in' });
    expect((await probe(id)).body).toMatchObject({ success: false, error_message: 'the host could not be resolved' });
  });
});

describe('listWebhookDeliveries', () => {
  test('newest first, by status and moment, in pages', async () => {
    await hooks.allowLoopback();
    hooks.receiver.status = 204;
    await hooks.makeTenant('delivers');
    const { id } = await hooks.subscribe(
      { url: hooks.receiver.url, event_types: ['tenant.updated'], retry_policy: { max_retries: 1, initial_delay_ms: 60_000 } },
      'delivers',
    );
    const moments: string[] = [];
    for (const [name, status] of [
      ['1', 204],
      ['2', 500],
      ['3', 204],
    ] as const) {
      hooks.clock.advance(1000);
      moments.push(new Date(hooks.clock.nowMs()).toISOString());
      hooks.receiver.status = status;
      await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/delivers', { name });
      await hooks.deliver();
    }
    hooks.receiver.status = 204;
    const ask = async (query: string) => {
      const { status, body } = await hooks.operator.ask<{ deliveries: Body[]; next_cursor?: string }>(
        'listWebhookDeliveries',
        'GET',
        `${WEBHOOKS}/${id}/deliveries?${query}`,
      );
      expect({ status, body }).toMatchObject({ status: 200 });
      return body;
    };
    const statusesOf = ({ deliveries }: { deliveries: readonly Body[] }): unknown[] => deliveries.map(({ status }) => status);
    const all = await ask('');
    expect(all.deliveries).toMatchObject([
      { status: 'SUCCESS', subscription_id: id, event_type: 'tenant.updated', response_status: 204, attempts: 1 },
      {
        status: 'RETRYING',
        response_status: 500,
        error_message: expect.any(String) as string,
        next_retry_at: expect.any(String) as string,
      },
      { status: 'SUCCESS', completed_at: expect.any(String) as string, trace_id: expect.stringMatching(/^[0-9a-f]{32}$/) as string },
    ]);
    expect(statusesOf(await ask('status=RETRYING'))).toEqual(['RETRYING']);
    expect(statusesOf(await ask('status=PENDING'))).toEqual([]);
    expect(statusesOf(await ask(`from=${moments[1]}`))).toEqual(['SUCCESS', 'RETRYING']);
    expect(statusesOf(await ask(`to=${moments[0]}`))).toEqual(['SUCCESS']);
    expect(statusesOf(await ask(`from=${moments[1]}&to=${moments[1]}`))).toEqual(['RETRYING']);
    const first = await ask('limit=2');
    expect([...first.deliveries, ...(await ask(`limit=2&cursor=${first.next_cursor}`)).deliveries]).toEqual(all.deliveries);
    for (const [query, field] of [
      ['status=DELIVERED', 'status'],
      ['from=yesterday', 'from'],
      [`from=${moments[1]}&to=${moments[0]}`, 'from'],
      ['cursor=x', 'cursor'],
    ] as const) {
      const answer = await hooks.operator.ask('listWebhookDeliveries', 'GET', `${WEBHOOKS}/${id}/deliveries?${query}`);
      expect(answer).toMatchObject({ status: 400, body: refused(field) });
    }
    hooks.clock.advance(60_000);
    await hooks.deliver();
    expect(statusesOf(await ask(''))).toEqual(['SUCCESS', 'SUCCESS', 'SUCCESS']);
  });
});

describe('replayEvents', () => {
  const replay = (id: string, body: unknown) => hooks.operator.ask<Body>('replayEvents', 'POST', `${WEBHOOKS}/${id}/replay`, body);

  test('202: events of the range that the subscription selects are delivered again, in their order', async () => {
    await hooks.allowLoopback();
    hooks.receiver.status = 204;
    await hooks.makeTenant('replays');
    hooks.clock.advance(1000);
    const from = new Date(hooks.clock.nowMs()).toISOString();
    for (const name of ['1', '2', '3']) {
      await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/replays', { name });
      hooks.clock.advance(1000);
    }
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/replays', { status: 'SUSPENDED' });
    hooks.clock.advance(1);
    const { id } = await hooks.subscribe({ url: hooks.receiver.url, event_types: ['tenant.updated', 'tenant.suspended'] }, 'replays');
    const before = hooks.receiver.received.length;
    const { status, body } = await replay(id, { from, event_types: ['tenant.updated'] });
    expect([status, body]).toMatchObject([202, { replay_id: expect.stringMatching(/^rpl_/) as string, events_queued: 3 }]);
    expect(await replay(id, { from })).toMatchObject({ status: 409, body: { error: 'REPLAY_IN_PROGRESS' } });
    await hooks.deliver();
    const sent = hooks.receiver.received.slice(before).map(({ body: text }) => JSON.parse(text) as Body);
    expect(sent.map(({ event_type: type }) => type)).toEqual(['tenant.updated', 'tenant.updated', 'tenant.updated']);
    const moments = sent.map(({ timestamp }) => String(timestamp));
    expect(moments).toEqual(moments.toSorted());
    expect((await replay(id, { from, event_types: ['tenant.updated', 'tenant.suspended'], max_events: 4 })).body).toMatchObject({
      events_queued: 4,
    });
    await hooks.deliver();
    const { body: logs } = await hooks.operator.ask<{ logs: Body[] }>(
      'listAuditLogs',
      'GET',
      `/v1/admin/audit/logs?operation=replayEvents&resource_id=${id}`,
    );
    expect(logs.logs.filter((row) => row['status'] === 202)).toHaveLength(2);
  });

  test('202 with nothing queued: a subscription that is not ACTIVE, or that selects none of these types', async () => {
    const { id } = await hooks.subscribe({ event_types: ['tenant.updated'] }, 'replays');
    expect(await replay(id, { event_types: ['tenant.closed'] })).toMatchObject({ status: 202, body: { events_queued: 0 } });
    await hooks.patch(id, { status: 'PAUSED' });
    expect(await replay(id, {})).toMatchObject({ status: 202, body: { events_queued: 0 } });
  });

  test('400: more events than asked for, none is sent', async () => {
    const { id } = await hooks.subscribe({ event_types: ['tenant.updated'] }, 'replays');
    expect(await replay(id, { max_events: 2 })).toMatchObject({ status: 400, body: refused('max_events') });
    expect((await hooks.operator.ask<Body>('listWebhookDeliveries', 'GET', `${WEBHOOKS}/${id}/deliveries`)).body['deliveries']).toEqual([]);
    expect(await replay(id, { max_events: 3 })).toMatchObject({ status: 202, body: { events_queued: 3 } });
  });

  test.each<[string, Body, string]>([
    ['no events', { max_events: 0 }, 'max_events'],
    ['1,001 events', { max_events: 1001 }, 'max_events'],
    ['a moment that is none', { from: 'yesterday' }, 'from'],
    ['from after to', { from: '2026-04-09T00:00:01Z', to: '2026-04-09T00:00:00Z' }, 'from'],
    ['an unknown type', { event_types: ['budget.dragons'] }, 'event_types'],
    ['an unknown field', { dragons: 1 }, 'dragons'],
  ])('400: %s', async (_name, body, field) => {
    const { id } = await hooks.subscribe();
    expect(await replay(id, body)).toMatchObject({ status: 400, body: refused(field) });
  });

  test('202: 1 and 1,000 are allowed', async () => {
    const { id } = await hooks.subscribe({ event_types: ['budget.closed'] });
    for (const max of [1, 1000]) expect((await replay(id, { max_events: max })).status).toBe(202);
  });
});

describe('bulkActionWebhooks', () => {
  const bulk = (body: unknown) => hooks.operator.ask<Body>('bulkActionWebhooks', 'POST', `${WEBHOOKS}/bulk-action`, body);
  const rows: string[] = [];
  beforeAll(async () => {
    await hooks.makeTenant('many');
    for (let at = 0; at < 3; at++) rows.push((await hooks.subscribe({}, 'many')).id);
  });

  test('PAUSE, RESUME and DELETE, with skips and failures, one event a row that changed', async () => {
    const [a = '', b = '', c = ''] = rows;
    await hooks.patch(a, { status: 'PAUSED' });
    await hooks.raw(`UPDATE webhooks SET body = json_set(body, '$.status', 'DISABLED') WHERE id = '${b}'`);
    await hooks.patch(c, { name: 'known again' });
    const filter = { tenant_id: 'many' };
    const paused = await bulk({ action: 'PAUSE', filter, idempotency_key: 'b1', expected_count: 3 });
    expect(paused).toMatchObject({
      status: 200,
      body: { action: 'PAUSE', total_matched: 3, succeeded: [{ id: c }], failed: [], idempotency_key: 'b1' },
    });
    expect(paused.body['skipped']).toEqual([a, b].map((id) => ({ id, reason: 'ALREADY_IN_TARGET_STATE' })));
    const resumed = await bulk({ action: 'RESUME', filter, idempotency_key: 'b2' });
    expect(resumed.body).toMatchObject({ succeeded: [{ id: a }, { id: c }], failed: [{ id: b, error_code: 'INVALID_TRANSITION' }] });
    const request = String(resumed.headers['x-request-id']);
    const told = await hooks.events(`correlation_id=webhook_bulk_action:resume:${request}&sort_by=timestamp&sort_dir=asc`);
    expect(told.map(({ event_type: type, data }) => [type, (data as Body)['subscription_id']])).toEqual([
      ['webhook.resumed', a],
      ['webhook.resumed', c],
    ]);
    expect((await bulk({ action: 'RESUME', filter, idempotency_key: 'b2' })).body).toEqual(resumed.body);
    expect(await bulk({ action: 'PAUSE', filter, idempotency_key: 'b2' })).toMatchObject({
      status: 409,
      body: { error: 'IDEMPOTENCY_MISMATCH' },
    });
    expect(await bulk({ action: 'DELETE', filter, idempotency_key: 'b3', expected_count: 2 })).toMatchObject({
      status: 409,
      body: { error: 'COUNT_MISMATCH' },
    });
    expect((await list('tenant_id=many')).subscriptions).toHaveLength(3);
    expect((await bulk({ action: 'DELETE', filter: { ...filter, status: 'DISABLED' }, idempotency_key: 'b4' })).body).toMatchObject({
      succeeded: [{ id: b }],
    });
    expect(
      (await bulk({ action: 'DELETE', filter: { ...filter, event_type: 'budget.created' }, idempotency_key: 'b5' })).body,
    ).toMatchObject({ total_matched: 2 });
    expect((await list('tenant_id=many')).subscriptions).toEqual([]);
    const { body } = await hooks.operator.ask<{ logs: Body[] }>('listAuditLogs', 'GET', `/v1/admin/audit/logs?request_id=${request}`);
    expect(body.logs).toMatchObject([
      { operation: 'bulkActionWebhooks', metadata: { succeeded_ids: [a, c], failed_rows: [{ id: b }], skipped_rows: [] } },
    ]);
  });

  test.each<[string, Body, string]>([
    ['an empty filter', { action: 'PAUSE', filter: {}, idempotency_key: 'k' }, 'filter'],
    ['a filter of a blank search', { action: 'PAUSE', filter: { search: ' ' }, idempotency_key: 'k' }, 'filter'],
    ['an unknown action', { action: 'RENAME', filter: { tenant_id: 'many' }, idempotency_key: 'k' }, 'action'],
    ['no key', { action: 'PAUSE', filter: { tenant_id: 'many' } }, 'idempotency_key'],
    ['a key of 257 characters', { action: 'PAUSE', filter: { tenant_id: 'many' }, idempotency_key: 'k'.repeat(257) }, 'idempotency_key'],
    ['a search of 129 characters', { action: 'PAUSE', filter: { search: 'a'.repeat(129) }, idempotency_key: 'k' }, 'search'],
    ['an unknown filter', { action: 'PAUSE', filter: { url: 'x' }, idempotency_key: 'k' }, 'url'],
  ])('400: %s', async (_name, body, field) => {
    expect(await bulk(body)).toMatchObject({ status: 400, body: { message: expect.stringContaining(field) as string } });
  });

  test('400 for 501 of them, 200 for 500', async () => {
    await hooks.makeTenant('crowd');
    const { id } = await hooks.subscribe({}, 'crowd');
    const copy = (from: number, to: number) => `INSERT INTO webhooks (id, tenant_id, body)
      WITH RECURSIVE n(i) AS (VALUES (${from}) UNION ALL SELECT i + 1 FROM n WHERE i < ${to})
      SELECT 'whsub_crowd' || i, tenant_id, json_set(body, '$.id', 'whsub_crowd' || i) FROM n, webhooks WHERE id = '${id}'`;
    await hooks.raw(copy(1, 500));
    // Something that counts as a change: rows that nobody told of are read then.
    await hooks.patch(id, { name: 'first' });
    const filter = { tenant_id: 'crowd' };
    expect(await bulk({ action: 'PAUSE', filter, idempotency_key: 'c1' })).toMatchObject({
      status: 400,
      body: { error: 'LIMIT_EXCEEDED', details: { total_matched: 501 } },
    });
    await hooks.operator.ask('deleteWebhookSubscription', 'DELETE', `${WEBHOOKS}/${id}`);
    const { body } = await bulk({ action: 'DELETE', filter, idempotency_key: 'c2', expected_count: 500 });
    expect([body['total_matched'], (body['succeeded'] as unknown[]).length]).toEqual([500, 500]);
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SealBroken } from '../../../src/server/secrets/aes-secret-box.ts';
import { makeGovernanceClient } from '../../support/governance-client.ts';
import { makeHooks, URL_OUTSIDE, type Hooks } from './webhook-harness.ts';

let hooks: Hooks;
beforeAll(async () => {
  hooks = await makeHooks();
});
afterAll(() => hooks.close());

const WEBHOOKS = '/v1/admin/webhooks';
const NEW = { url: URL_OUTSIDE, event_types: ['budget.created'] };

type Body = Record<string, unknown>;
const create = (body: unknown, query = '') => hooks.operator.ask<Body>('createWebhookSubscription', 'POST', `${WEBHOOKS}${query}`, body);
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
const idsOf = (page: { subscriptions: readonly Body[] }): unknown[] => page.subscriptions.map(({ subscription_id: id }) => id);

describe('createWebhookSubscription', () => {
  test('201: shows the subscription as it is kept, with the secret beside it', async () => {
    const given = {
      ...NEW,
      name: 'Ops',
      description: 'For the people on call.',
      event_categories: ['reservation'],
      scope_filter: 'tenant:acme/*',
      thresholds: { budget_utilization: [0.5, 0.9], burn_rate_multiplier: 2.5, rate_window_seconds: 60 },
      headers: { Authorization: 'Bearer opened', 'X-Team': 'ops' },
      retry_policy: { max_retries: 2, initial_delay_ms: 100, backoff_multiplier: 1.5, max_delay_ms: 1000 },
      disable_after_failures: 3,
      metadata: { team: 'ops', big: 1 },
    };
    const { status, body } = await create(given, '?tenant_id=acme');
    expect(status).toBe(201);
    expect(body['signing_secret']).toMatch(/^whsec_[A-Za-z0-9]{43}$/);
    expect(body['subscription']).toEqual({
      ...given,
      subscription_id: expect.stringMatching(/^whsub_/) as string,
      tenant_id: 'acme',
      headers: { Authorization: '********', 'X-Team': '********' },
      status: 'ACTIVE',
      consecutive_failures: 0,
      created_at: '2026-04-09T00:00:00Z',
      updated_at: '2026-04-09T00:00:00Z',
    });
    expect(await hooks.show(String((body['subscription'] as Body)['subscription_id']))).toEqual(body['subscription']);
  });

  test('201: without a tenant, and for __system__, it is the operator’s own and may select everything', async () => {
    for (const query of ['', '?tenant_id=__system__']) {
      const { status, body } = await create({ ...NEW, event_types: ['api_key.created'], event_categories: ['system'] }, query);
      expect([query, status]).toEqual([query, 201]);
      expect(body['subscription']).toMatchObject({ tenant_id: '__system__' });
    }
  });

  test('a tenant that was left empty does not make it a subscription to everybody’s events', async () => {
    expect(await create(NEW, '?tenant_id=')).toMatchObject({ status: 400, body: refused('tenant_id') });
  });

  test('one event tells of it, without a previous status, and one audit row', async () => {
    const { id } = await hooks.subscribe({}, 'acme');
    const correlation = `webhook_create:${id}`;
    const told = await hooks.events(`correlation_id=${correlation}`);
    expect(told).toMatchObject([
      {
        event_type: 'webhook.created',
        category: 'webhook',
        tenant_id: 'acme',
        data: { subscription_id: id, tenant_id: 'acme', new_status: 'ACTIVE', changed_fields: [] },
        actor: { type: 'admin' },
      },
    ]);
    expect(told[0]?.['data']).not.toHaveProperty('previous_status');
    const { body } = await hooks.operator.ask<{ logs: Body[] }>('listAuditLogs', 'GET', `/v1/admin/audit/logs?resource_id=${id}`);
    expect(body.logs).toMatchObject([{ operation: 'createWebhookSubscription', status: 201, tenant_id: 'acme' }]);
  });

  test('404 for a tenant that does not exist, 409 for one that is closed', async () => {
    expect(await create(NEW, '?tenant_id=nobody')).toMatchObject({ status: 404, body: { error: 'TENANT_NOT_FOUND' } });
    await hooks.makeTenant('gone');
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/gone', { status: 'CLOSED' });
    expect(await create(NEW, '?tenant_id=gone')).toMatchObject({ status: 409, body: { error: 'TENANT_CLOSED' } });
  });

  test.each<[string, Body, string]>([
    ['no address', { event_types: ['budget.created'] }, 'url'],
    ['no types', { url: URL_OUTSIDE }, 'event_types'],
    ['types that are none', { ...NEW, event_types: [] }, 'event_types'],
    ['an unknown type', { ...NEW, event_types: ['budget.dragons'] }, 'event_types'],
    ['a type that is only ours', { ...NEW, event_types: ['model.created'] }, 'event_types'],
    ['an unknown category', { ...NEW, event_categories: ['dragons'] }, 'event_categories'],
    ['an unknown field', { ...NEW, dragons: true }, 'dragons'],
    ['a status', { ...NEW, status: 'PAUSED' }, 'status'],
    ['an empty secret', { ...NEW, signing_secret: '' }, 'signing_secret'],
    ['an address of 2,049 characters', { ...NEW, url: `https://hooks.example.com/${'a'.repeat(2049 - 26)}` }, 'url'],
    ['a name of 257 characters', { ...NEW, name: 'n'.repeat(257) }, 'name'],
    ['a description of 1,025 characters', { ...NEW, description: 'd'.repeat(1025) }, 'description'],
    ['no failures', { ...NEW, disable_after_failures: 0 }, 'disable_after_failures'],
    ['half a failure', { ...NEW, disable_after_failures: 1.5 }, 'disable_after_failures'],
    ['retries below 0', { ...NEW, retry_policy: { max_retries: -1 } }, 'max_retries'],
    ['retries above 10', { ...NEW, retry_policy: { max_retries: 11 } }, 'max_retries'],
    ['a first delay of 99 ms', { ...NEW, retry_policy: { initial_delay_ms: 99 } }, 'initial_delay_ms'],
    ['a first delay of 60,001 ms', { ...NEW, retry_policy: { initial_delay_ms: 60_001 } }, 'initial_delay_ms'],
    ['a factor below 1', { ...NEW, retry_policy: { backoff_multiplier: 0.99 } }, 'backoff_multiplier'],
    ['a factor above 10', { ...NEW, retry_policy: { backoff_multiplier: 10.01 } }, 'backoff_multiplier'],
    ['a longest delay of 999 ms', { ...NEW, retry_policy: { max_delay_ms: 999 } }, 'max_delay_ms'],
    ['a longest delay above an hour', { ...NEW, retry_policy: { max_delay_ms: 3_600_001 } }, 'max_delay_ms'],
    ['a share above 1', { ...NEW, thresholds: { budget_utilization: [1.01] } }, 'budget_utilization'],
    ['a multiplier below 1.5', { ...NEW, thresholds: { burn_rate_multiplier: 1.49 } }, 'burn_rate_multiplier'],
    ['a window of 59 s', { ...NEW, thresholds: { rate_window_seconds: 59 } }, 'rate_window_seconds'],
    ['a window of 86,401 s', { ...NEW, thresholds: { burn_rate_window_seconds: 86_401 } }, 'burn_rate_window_seconds'],
    ['an unknown threshold', { ...NEW, thresholds: { dragons: 1 } }, 'thresholds'],
    ['a header that is sent anyway', { ...NEW, headers: { 'Content-Type': 'text/plain' } }, 'headers'],
    ['a header of the protocol', { ...NEW, headers: { 'X-Cycles-Signature': 'x' } }, 'headers'],
    ['a header twice', { ...NEW, headers: { 'X-A': '1', 'x-a': '2' } }, 'headers'],
    ['a line break in a header', { ...NEW, headers: { 'X-A': 'a\r\nX-B: b' } }, 'headers'],
    ['no name of a header', { ...NEW, headers: { 'a b': '1' } }, 'headers'],
    ['33 headers', { ...NEW, headers: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`x-${at}`, '1'])) }, 'headers'],
    ['metadata that are no object', { ...NEW, metadata: ['a'] }, 'metadata'],
    ['nothing', {}, 'url'],
  ])('400: %s', async (_name, body, field) => {
    expect(await create(body)).toMatchObject({ status: 400, body: refused(field) });
  });

  test.each<[string, Body]>([
    ['an address of 2,048 characters', { url: `https://hooks.example.com/${'a'.repeat(2048 - 26)}` }],
    ['a name of 256 characters', { name: 'n'.repeat(256) }],
    ['a description of 1,024 characters', { description: 'd'.repeat(1024) }],
    [
      'the least of everything',
      { disable_after_failures: 1, retry_policy: { max_retries: 0, initial_delay_ms: 100, backoff_multiplier: 1, max_delay_ms: 1000 } },
    ],
    [
      'the most of everything',
      { retry_policy: { max_retries: 10, initial_delay_ms: 60_000, backoff_multiplier: 10, max_delay_ms: 3_600_000 } },
    ],
    [
      'the least thresholds',
      { thresholds: { budget_utilization: [0], burn_rate_multiplier: 1.5, rate_window_seconds: 60, denial_rate_threshold: 0 } },
    ],
    ['the most thresholds', { thresholds: { budget_utilization: [1], burn_rate_window_seconds: 86_400, auth_failure_rate_threshold: 1 } }],
    ['32 headers', { headers: Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`x-${at}`, '1'])) }],
  ])('201: %s', async (_name, parts) => {
    const { body } = await hooks.subscribe(parts);
    expect(body).toMatchObject('headers' in parts ? { status: 'ACTIVE' } : parts);
  });

  test('400 for what is no JSON, 401 without the operator key', async () => {
    expect((await create('{')).status).toBe(400);
    const nobody = makeGovernanceClient(hooks.at, 'cyc_live_nobody');
    expect((await nobody.ask('createWebhookSubscription', 'POST', WEBHOOKS, NEW)).status).toBe(401);
    expect((await hooks.acme.ask('createWebhookSubscription', 'POST', WEBHOOKS, NEW)).status).toBe(401);
  });
});

describe('secrets', () => {
  test('are given out once and never again, and headers never', async () => {
    const { id, secret } = await hooks.subscribe({ signing_secret: 'whsec_mine', headers: { 'X-Token': 'tok_opened' } });
    expect(secret).toBe('whsec_mine');
    const shown = [
      await hooks.show(id),
      (await hooks.patch(id, { name: 'again', signing_secret: 'whsec_other', headers: { 'X-Token': 'tok_other' } })).body,
      await list(`search=${id}`),
      await hooks.events('category=webhook&limit=100'),
      (await hooks.operator.ask('listAuditLogs', 'GET', `/v1/admin/audit/logs?resource_id=${id}`)).body,
    ];
    const text = JSON.stringify([shown, hooks.at.log.lines]);
    expect(text).not.toMatch(/whsec_(mine|other)|tok_(opened|other)/);
    expect(text).toContain('********');
  });

  test('lie sealed for their own row and under an identity of their own', async () => {
    const { id } = await hooks.subscribe({ signing_secret: 'whsec_at_rest', headers: { 'X-Token': 'tok_at_rest' } });
    const rows = await hooks.raw('SELECT * FROM webhooks');
    expect(JSON.stringify(rows)).not.toMatch(/at_rest/);
    const body = JSON.parse(String(rows.find((row) => row['id'] === id)?.['body'])) as { secretSealed: string; headersSealed: string };
    expect(hooks.at.secretBox.open(body.secretSealed, `webhook:${id}`)).toBe('whsec_at_rest');
    expect(hooks.at.secretBox.open(body.headersSealed, `webhook:${id}:headers`)).toBe('{"X-Token":"tok_at_rest"}');
    expect(() => hooks.at.secretBox.open(body.headersSealed, `webhook:${id}`)).toThrow(SealBroken);
  });
});

describe('updateWebhookSubscription', () => {
  test('200: changes what is given and nothing else', async () => {
    const { id, body } = await hooks.subscribe({ name: 'Before', event_categories: ['reservation'], disable_after_failures: 4 }, 'acme');
    hooks.clock.advance(1000);
    const changed = await hooks.patch(id, { event_types: ['budget.frozen'], metadata: { a: [1] } });
    expect(changed).toMatchObject({ status: 200, headers: { 'x-cycles-tenant': 'acme' } });
    const updated = { ...body, event_types: ['budget.frozen'], metadata: { a: [1] }, updated_at: expect.any(String) as string };
    expect(changed.body).toEqual(updated);
    expect(changed.body['updated_at']).not.toBe(body['updated_at']);
    expect(await hooks.show(id)).toEqual(changed.body);
  });

  test.each<[string, Body, string, Body]>([
    ['a field', { name: 'x' }, 'webhook.updated', { previous_status: 'ACTIVE', new_status: 'ACTIVE', changed_fields: ['name'] }],
    ['its pause', { status: 'PAUSED' }, 'webhook.paused', { previous_status: 'ACTIVE', new_status: 'PAUSED', changed_fields: [] }],
    [
      'its pause with fields',
      { status: 'PAUSED', name: 'x', url: 'https://a.hooks.example.com/', signing_secret: 'n', headers: { 'x-b': '2' } },
      'webhook.paused',
      { previous_status: 'ACTIVE', new_status: 'PAUSED', changed_fields: ['name', 'url', 'signing_secret', 'headers'] },
    ],
  ])('exactly one event tells of %s', async (_name, change, type, data) => {
    const { id } = await hooks.subscribe();
    const { headers } = await hooks.patch(id, change);
    const told = await hooks.events(`correlation_id=webhook_update:${id}:${String(headers['x-request-id'])}`);
    expect(told).toMatchObject([{ event_type: type, tenant_id: '__system__', request_id: headers['x-request-id'] }]);
    expect(told[0]?.['data']).toEqual({ subscription_id: id, tenant_id: '__system__', ...data });
  });

  test('what changes nothing is told of by nobody', async () => {
    const secrets = { signing_secret: 'whsec_same', headers: { 'X-A': 'same' } };
    const { id, body } = await hooks.subscribe({ name: 'Same', retry_policy: { max_retries: 1 }, ...secrets });
    hooks.clock.advance(1000);
    for (const same of [
      {},
      { name: 'Same' },
      { status: 'ACTIVE' },
      { event_types: ['budget.created'], retry_policy: { max_retries: 1 } },
      secrets,
    ]) {
      const { status, headers, body: shown } = await hooks.patch(id, same);
      expect([status, shown]).toEqual([200, body]);
      expect(await hooks.events(`correlation_id=webhook_update:${id}:${String(headers['x-request-id'])}`)).toEqual([]);
    }
  });

  test('a pause and its end are one event each, and failures from before do not count any more', async () => {
    await hooks.allowLoopback();
    const { id } = await hooks.subscribe({
      url: hooks.receiver.url,
      event_types: ['tenant.updated'],
      retry_policy: { max_retries: 0 },
      disable_after_failures: 2,
    });
    hooks.receiver.status = 500;
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme', { name: 'Acme 1' });
    await hooks.deliver();
    expect(await hooks.show(id)).toMatchObject({
      status: 'ACTIVE',
      consecutive_failures: 1,
      last_failure_at: expect.any(String) as string,
    });
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme', { name: 'Acme 2' });
    await hooks.deliver();
    expect(await hooks.show(id)).toMatchObject({ status: 'DISABLED', consecutive_failures: 2 });
    const { status, body, headers } = await hooks.patch(id, { status: 'ACTIVE' });
    expect([status, body]).toMatchObject([200, { status: 'ACTIVE', consecutive_failures: 0 }]);
    expect(await hooks.events(`correlation_id=webhook_update:${id}:${String(headers['x-request-id'])}`)).toMatchObject([
      { event_type: 'webhook.resumed', data: { previous_status: 'DISABLED', new_status: 'ACTIVE' } },
    ]);
    hooks.receiver.status = 204;
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme', { name: 'Acme 3' });
    await hooks.deliver();
    expect(await hooks.show(id)).toMatchObject({ consecutive_failures: 0, last_success_at: expect.any(String) as string });
    await hooks.operator.ask('deleteWebhookSubscription', 'DELETE', `${WEBHOOKS}/${id}`);
  });

  test('400: nobody sets DISABLED, or what a creation would refuse', async () => {
    const { id, body } = await hooks.subscribe();
    for (const [change, field] of [
      [{ status: 'DISABLED' }, 'status'],
      [{ name: null }, 'name'],
      [{ url: 'no address' }, 'url'],
      [{ headers: { Host: 'x' } }, 'headers'],
      [{ disable_after_failures: 0 }, 'disable_after_failures'],
      [{ tenant_id: 'acme' }, 'tenant_id'],
    ] as const)
      expect(await hooks.patch(id, change)).toMatchObject({ status: 400, body: { message: expect.stringContaining(field) as string } });
    expect(await hooks.show(id)).toEqual(body);
  });

  test('404 for what does not exist', async () => {
    expect(await hooks.patch('whsub_nobody', { name: 'x' })).toMatchObject({ status: 404, body: { error: 'WEBHOOK_NOT_FOUND' } });
  });
});

describe('the selector invariants of the operator’s plane', () => {
  const EMPTY: readonly Body[] = [{ event_types: [] }, { event_types: [], event_categories: [] }, { event_types: [], status: 'PAUSED' }];
  test.each(EMPTY)('1: no change leaves a subscription without a selector: %j', async (change) => {
    const { id, body } = await hooks.subscribe();
    expect(await hooks.patch(id, change)).toMatchObject({ status: 400, body: refused('event_types') });
    expect(await hooks.show(id)).toEqual(body);
  });

  test('1: a category alone is enough, but not once it is gone', async () => {
    const { id } = await hooks.subscribe();
    expect(await hooks.patch(id, { event_types: [], event_categories: ['budget'] })).toMatchObject({
      status: 200,
      body: { event_types: [], event_categories: ['budget'] },
    });
    expect(await hooks.patch(id, { event_categories: [] })).toMatchObject({ status: 400, body: refused('event_types') });
  });

  const FOREIGN: readonly Body[] = [
    { event_types: ['budget.created', 'api_key.created'] },
    { event_types: ['policy.updated'] },
    { event_types: ['webhook.disabled'] },
    { event_types: ['system.webhook_test'] },
    { event_categories: ['budget', 'api_key'] },
    { event_categories: ['policy'] },
    { event_categories: ['webhook'] },
    { event_categories: ['system'] },
  ];
  test.each(FOREIGN)('2: a tenant’s subscription never selects %j, on creation or change', async (selectors) => {
    expect(await create({ ...NEW, ...selectors }, '?tenant_id=acme')).toMatchObject({ status: 400, body: refused('event_') });
    const { id, body } = await hooks.subscribe({}, 'acme');
    expect(await hooks.patch(id, selectors)).toMatchObject({ status: 400, body: refused('event_') });
    expect(await hooks.show(id)).toEqual(body);
    expect((await create({ ...NEW, ...selectors })).status).toBe(201);
  });

  test('2: a row from elsewhere that breaks it is not brought back: not by its status, a field, a bulk action', async () => {
    const { id } = await hooks.subscribe({}, 'acme');
    await hooks.patch(id, { status: 'PAUSED' });
    await hooks.raw(`UPDATE webhooks SET body = json_set(body, '$.eventCategories', json('["api_key"]')) WHERE id = '${id}'`);
    expect(await hooks.patch(id, { status: 'ACTIVE' })).toMatchObject({ status: 400, body: refused('event_categories') });
    expect(await hooks.patch(id, { name: 'x' })).toMatchObject({ status: 400, body: refused('event_categories') });
    const { body } = await hooks.operator.ask<Body>('bulkActionWebhooks', 'POST', `${WEBHOOKS}/bulk-action`, {
      action: 'RESUME',
      filter: { search: id },
      idempotency_key: 'planted',
    });
    expect(body).toMatchObject({ succeeded: [], failed: [{ id, error_code: 'INVALID_TRANSITION' }] });
    expect(await hooks.patch(id, { status: 'ACTIVE', event_categories: [] })).toMatchObject({ status: 200, body: { status: 'ACTIVE' } });
  });
});

describe('getWebhookSubscription and deleteWebhookSubscription', () => {
  test('204: it is gone, for every route, and told of with its status', async () => {
    const { id } = await hooks.subscribe({}, 'acme');
    await hooks.patch(id, { status: 'PAUSED' });
    const removed = await hooks.operator.ask('deleteWebhookSubscription', 'DELETE', `${WEBHOOKS}/${id}`);
    expect([removed.status, removed.body]).toEqual([204, undefined]);
    const told = await hooks.events(`correlation_id=webhook_delete:${id}`);
    expect(told).toMatchObject([{ event_type: 'webhook.deleted', data: { subscription_id: id, previous_status: 'PAUSED' } }]);
    expect(told[0]?.['data']).not.toHaveProperty('new_status');
    for (const [operation, method, path] of [
      ['getWebhookSubscription', 'GET', ''],
      ['deleteWebhookSubscription', 'DELETE', ''],
      ['testWebhookSubscription', 'POST', '/test'],
      ['listWebhookDeliveries', 'GET', '/deliveries'],
    ] as const)
      expect(await hooks.operator.ask(operation, method, `${WEBHOOKS}/${id}${path}`)).toMatchObject({
        status: 404,
        body: { error: 'WEBHOOK_NOT_FOUND' },
      });
    expect((await hooks.operator.ask('replayEvents', 'POST', `${WEBHOOKS}/${id}/replay`, {})).status).toBe(404);
    expect(idsOf(await list('limit=100'))).not.toContain(id);
  });

  test('409 for every change of what a closed tenant owns; it can still be read', async () => {
    await hooks.makeTenant('closing');
    const { id } = await hooks.subscribe({}, 'closing');
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/closing', { status: 'CLOSED' });
    expect(await hooks.show(id)).toMatchObject({ status: 'DISABLED' });
    for (const [operation, method, path, body] of [
      ['updateWebhookSubscription', 'PATCH', '', { status: 'ACTIVE' }],
      ['deleteWebhookSubscription', 'DELETE', '', undefined],
      ['testWebhookSubscription', 'POST', '/test', undefined],
      ['replayEvents', 'POST', '/replay', {}],
      ['updateTenantWebhook', 'PATCH', '', { name: 'x' }],
      ['testTenantWebhook', 'POST', '/test', undefined],
    ] as const) {
      const base = operation.includes('Tenant') ? '/v1/webhooks' : WEBHOOKS;
      expect(await hooks.operator.ask(operation, method, `${base}/${id}${path}`, body)).toMatchObject({
        status: 409,
        body: { error: 'TENANT_CLOSED' },
      });
    }
    expect((await hooks.operator.ask('listWebhookDeliveries', 'GET', `${WEBHOOKS}/${id}/deliveries`)).status).toBe(200);
    expect(await hooks.events(`tenant_id=closing&event_type=webhook.disabled_via_tenant_cascade`)).toMatchObject([
      { data: { subscription_id: id, prior_status: 'ACTIVE', new_status: 'DISABLED' } },
    ]);
  });
});

describe('listWebhookSubscriptions', () => {
  const made: string[] = [];
  beforeAll(async () => {
    await hooks.makeTenant('lists');
    for (const [path, types] of [
      ['a', ['budget.created']],
      ['B', ['budget.frozen']],
      ['c', ['budget.created', 'tenant.updated']],
    ] as const)
      made.push((await hooks.subscribe({ url: `https://hooks.example.com/${path}`, event_types: types }, 'lists')).id);
    await hooks.patch(made[1] ?? '', { status: 'PAUSED' });
  });

  test.each<[string, readonly number[]]>([
    ['tenant_id=lists&sort_by=url&sort_dir=asc', [1, 0, 2]],
    ['tenant_id=lists&status=PAUSED', [1]],
    ['tenant_id=lists&event_type=budget.created&sort_by=url', [2, 0]],
    ['tenant_id=lists&search=%20EXAMPLE.com/b%20', [1]],
    ['tenant_id=lists&search=&sort_by=url', [2, 0, 1]],
    ['tenant_id=lists&status=ACTIVE&event_type=tenant.updated&search=hooks', [2]],
    ['tenant_id=nobody', []],
    ['tenant_id=lists&sort_by=status&sort_dir=asc', [0, 2, 1]],
    ['tenant_id=lists&sort_by=tenant_id&sort_dir=asc', [0, 1, 2]],
    ['tenant_id=lists&sort_by=consecutive_failures&sort_dir=asc', [0, 1, 2]],
    ['tenant_id=lists', [2, 1, 0]],
  ])('%s', async (query, wanted) => {
    expect(idsOf(await list(query))).toEqual(wanted.map((at) => made[at]));
  });

  test('the operator’s own are found by __system__', async () => {
    const { subscriptions } = await list('tenant_id=__system__&limit=100');
    expect(new Set(subscriptions.map(({ tenant_id: tenant }) => tenant))).toEqual(new Set(['__system__']));
  });

  test('pages end truthfully and go on behind what is gone meanwhile', async () => {
    const whole = idsOf(await list('sort_by=tenant_id&limit=100'));
    const paged: unknown[] = [];
    let cursor: string | undefined;
    do {
      const page = await list(`sort_by=tenant_id&limit=3${cursor === undefined ? '' : `&cursor=${cursor}`}`);
      paged.push(...idsOf(page));
      expect(page.has_more).toBe(page.next_cursor !== undefined);
      cursor = page.next_cursor;
    } while (cursor !== undefined);
    expect(paged).toEqual(whole);
    const first = await list('tenant_id=lists&sort_by=url&limit=1');
    await hooks.operator.ask('deleteWebhookSubscription', 'DELETE', `${WEBHOOKS}/${made[2]}`);
    expect(idsOf(await list(`tenant_id=lists&sort_by=url&limit=2&cursor=${first.next_cursor}`))).toEqual([made[0], made[1]]);
    expect((await list(`tenant_id=lists&sort_by=url&limit=2`)).has_more).toBe(false);
  });

  test.each<[string, string]>([
    ['status=GONE', 'status'],
    ['event_type=budget.dragons', 'event_type'],
    ['sort_by=name', 'sort_by'],
    ['sort_dir=up', 'sort_dir'],
    ['limit=many', 'limit'],
    ['cursor=dragons', 'cursor'],
    [`search=${'a'.repeat(129)}`, 'search'],
  ])('400: %s', async (query, field) => {
    const answer = await hooks.operator.ask('listWebhookSubscriptions', 'GET', `${WEBHOOKS}?${query}`);
    expect(answer).toMatchObject({ status: 400, body: refused(field) });
  });

  test('limits out of bounds are taken for the nearest, a search of 128 characters is one', async () => {
    expect((await list('limit=0')).subscriptions).toHaveLength(1);
    expect((await list('limit=2000')).subscriptions.length).toBeGreaterThan(10);
    expect((await list(`search=${'z'.repeat(128)}`)).subscriptions).toEqual([]);
  });
});

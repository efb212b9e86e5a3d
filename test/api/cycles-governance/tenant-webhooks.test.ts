import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GovernanceClient } from '../../support/governance-client.ts';
import { makeHooks, URL_OUTSIDE, type Hooks } from './webhook-harness.ts';

let hooks: Hooks;
beforeAll(async () => {
  hooks = await makeHooks();
});
afterAll(() => hooks.close());

const OWN = '/v1/webhooks';
const NEW = { url: URL_OUTSIDE, event_types: ['budget.created'] };

type Body = Record<string, unknown>;
interface Made {
  readonly subscription: Body;
  readonly signing_secret: string;
}
interface Page {
  readonly subscriptions: readonly Body[];
  readonly has_more: boolean;
  readonly next_cursor?: string;
}

const create = (client: GovernanceClient, body: unknown = NEW, query = '') =>
  client.ask<Made>('createTenantWebhook', 'POST', `${OWN}${query}`, body);
const makeOf = async (client: GovernanceClient, parts: Body = {}): Promise<string> => {
  const { status, body } = await create(client, { ...NEW, ...parts });
  expect({ status, body }).toMatchObject({ status: 201 });
  return String(body.subscription['subscription_id']);
};
const list = async (client: GovernanceClient, query = ''): Promise<Page> => {
  const { status, body } = await client.ask<Page>('listTenantWebhooks', 'GET', `${OWN}?${query}`);
  expect({ status, body }).toMatchObject({ status: 200 });
  return body;
};
const idsOf = ({ subscriptions }: Page): unknown[] => subscriptions.map(({ subscription_id: id }) => id);
const patch = (client: GovernanceClient, id: string, body: unknown) =>
  client.ask<Body>('updateTenantWebhook', 'PATCH', `${OWN}/${id}`, body);
const show = (client: GovernanceClient, id: string) => client.ask<Body>('getTenantWebhook', 'GET', `${OWN}/${id}`);
const refused = (field: string): object => ({ error: 'INVALID_REQUEST', message: expect.stringContaining(field) as string });

/** Every operation on one subscription. */
const ON_ONE = [
  ['getTenantWebhook', 'GET', '', undefined],
  ['updateTenantWebhook', 'PATCH', '', { name: 'mine' }],
  ['deleteTenantWebhook', 'DELETE', '', undefined],
  ['testTenantWebhook', 'POST', '/test', undefined],
  ['listTenantWebhookDeliveries', 'GET', '/deliveries', undefined],
] as const;

describe('createTenantWebhook', () => {
  test('201: the subscription is the tenant’s of the key, whatever the query names; the secret comes once', async () => {
    for (const query of ['', '?tenant_id=other', '?tenant=other']) {
      const { status, body, headers } = await create(hooks.acme, { ...NEW, headers: { 'X-Token': 'opened' } }, query);
      expect([status, body.subscription]).toMatchObject([201, { tenant_id: 'acme', status: 'ACTIVE', headers: { 'X-Token': '********' } }]);
      expect(headers['x-cycles-tenant']).toBe('acme');
      expect(body.signing_secret).toMatch(/^whsec_/);
      const shown = await show(hooks.acme, String(body.subscription['subscription_id']));
      expect(shown.body).toEqual(body.subscription);
      expect(JSON.stringify(shown.body)).not.toContain(body.signing_secret);
    }
  });

  test('the event and the audit row name the key', async () => {
    const { body, headers } = await create(hooks.acme);
    const id = String(body.subscription['subscription_id']);
    const [told] = await hooks.events(`correlation_id=webhook_create:${id}`);
    expect(told).toMatchObject({
      event_type: 'webhook.created',
      tenant_id: 'acme',
      actor: { type: 'api_key', key_id: expect.any(String) as string },
    });
    const { body: trail } = await hooks.operator.ask<{ logs: Body[] }>(
      'listAuditLogs',
      'GET',
      `/v1/admin/audit/logs?request_id=${String(headers['x-request-id'])}`,
    );
    expect(trail.logs).toMatchObject([
      { operation: 'createTenantWebhook', tenant_id: 'acme', status: 201, key_id: (told?.['actor'] as Body | undefined)?.['key_id'] },
    ]);
  });

  test('401 for the operator key: it names no tenant here', async () => {
    expect((await create(hooks.operator)).status).toBe(401);
  });

  test.each<[string, Body, string]>([
    ['no types', { url: URL_OUTSIDE, event_types: [] }, 'event_types'],
    ['a tenant in the body', { ...NEW, tenant_id: 'acme' }, 'tenant_id'],
    ['an unknown type', { ...NEW, event_types: ['dragons.hatched'] }, 'event_types'],
    ['no failures', { ...NEW, disable_after_failures: 0 }, 'disable_after_failures'],
  ])('400: %s', async (_name, body, field) => {
    expect(await create(hooks.acme, body)).toMatchObject({ status: 400, body: refused(field) });
  });

  test('400 for addresses that are blocked, 201 for a host that nobody can resolve', async () => {
    for (const url of [
      'http://hooks.example.com/',
      'https://169.254.169.254/',
      'https://inside.example.com/',
      'https://[::ffff:10.0.0.1]/',
    ])
      expect(await create(hooks.acme, { ...NEW, url })).toMatchObject({ status: 400, body: { error: 'WEBHOOK_URL_INVALID' } });
    expect((await create(hooks.acme, { ...NEW, url: 'https://later.example.org/' })).status).toBe(201);
  });
});

describe('the selector invariants of the tenants’ plane', () => {
  test.each<Body>([
    { event_types: ['api_key.created'] },
    { event_types: ['budget.created', 'policy.updated'] },
    { event_types: ['webhook.paused'] },
    { event_types: ['system.high_latency'] },
    { event_categories: ['api_key'] },
    { event_categories: ['budget', 'policy'] },
    { event_categories: ['webhook'] },
    { event_categories: ['system'] },
  ])('no subscription of a tenant selects %j: by its key or the operator', async (selectors) => {
    expect(await create(hooks.acme, { ...NEW, ...selectors })).toMatchObject({ status: 400, body: refused('event_') });
    const id = await makeOf(hooks.acme);
    for (const client of [hooks.acme, hooks.operator])
      expect(await patch(client, id, selectors)).toMatchObject({ status: 400, body: refused('event_') });
    expect((await show(hooks.acme, id)).body).toMatchObject({ event_types: ['budget.created'] });
    await patch(hooks.acme, id, { status: 'PAUSED' });
    expect((await patch(hooks.acme, id, { status: 'ACTIVE', ...selectors })).status).toBe(400);
    expect((await show(hooks.acme, id)).body).toMatchObject({ status: 'PAUSED' });
  });

  test('what tenants see can be selected, all of it', async () => {
    const id = await makeOf(hooks.acme, {
      event_types: ['tenant.settings_changed'],
      event_categories: ['budget', 'reservation', 'tenant'],
    });
    expect((await show(hooks.acme, id)).body).toMatchObject({ event_categories: ['budget', 'reservation', 'tenant'] });
  });

  test('no change leaves a subscription without a selector', async () => {
    const id = await makeOf(hooks.acme);
    for (const change of [{ event_types: [] }, { event_types: [], event_categories: [] }])
      for (const client of [hooks.acme, hooks.operator])
        expect(await patch(client, id, change)).toMatchObject({ status: 400, body: refused('event_types') });
    expect((await patch(hooks.acme, id, { event_types: [], event_categories: ['budget'] })).status).toBe(200);
    expect(await patch(hooks.acme, id, { event_categories: [] })).toMatchObject({ status: 400, body: refused('event_types') });
  });

  test('a row from elsewhere that breaks it is not brought back by its own tenant', async () => {
    const id = await makeOf(hooks.acme);
    await patch(hooks.acme, id, { status: 'PAUSED' });
    await hooks.raw(`UPDATE webhooks SET body = json_set(body, '$.eventTypes', json('["system.high_latency"]')) WHERE id = '${id}'`);
    expect(await patch(hooks.acme, id, { status: 'ACTIVE' })).toMatchObject({ status: 400, body: refused('event_types') });
  });
});

describe('the subscriptions of others', () => {
  test.each(ON_ONE)('%s: 404, in the words of what never was', async (operation, method, path, body) => {
    const system = (await hooks.subscribe()).id;
    const theirs = await makeOf(hooks.acme);
    const texts = await Promise.all(
      [theirs, system, 'whsub_never'].map(async (id) => {
        const answer = await hooks.other.ask<Body>(operation, method, `${OWN}/${id}${path}`, body);
        expect([id, answer.status, answer.headers['x-cycles-tenant']]).toEqual([id, 404, 'other']);
        const { request_id: _request, trace_id: _trace, ...said } = answer.body;
        return JSON.stringify(said).replaceAll(id, 'ID');
      }),
    );
    expect(new Set(texts).size).toBe(1);
    expect((await show(hooks.acme, theirs)).body).toMatchObject({ subscription_id: theirs, tenant_id: 'acme' });
  });

  test('do not show in lists, by whatever filter', async () => {
    const theirs = await makeOf(hooks.acme, { url: 'https://hooks.example.com/only-acme' });
    for (const query of ['', 'limit=100', 'status=ACTIVE', 'search=only-acme', 'tenant=other'])
      expect(idsOf(await list(hooks.other, query))).not.toContain(theirs);
    expect(await hooks.other.ask('listTenantWebhooks', 'GET', `${OWN}?tenant=acme`)).toMatchObject({ status: 403 });
    expect((await list(hooks.other, 'limit=100')).subscriptions.every(({ tenant_id: tenant }) => tenant === 'other')).toBe(true);
  });

  test('are not the cursor of another tenant', async () => {
    await makeOf(hooks.acme);
    const { next_cursor: cursor } = await list(hooks.acme, 'limit=1');
    expect(await hooks.other.ask('listTenantWebhooks', 'GET', `${OWN}?limit=1&cursor=${cursor}`)).toMatchObject({
      status: 400,
      body: refused('cursor'),
    });
  });

  test('get no event of another tenant, whatever their scope filter says', async () => {
    await hooks.allowLoopback();
    hooks.clock.advance(1);
    for (const scope of [undefined, '*', 'tenant:other/*', 'tenant:other'])
      await makeOf(hooks.acme, {
        url: hooks.receiver.url,
        event_categories: ['tenant'],
        ...(scope === undefined ? {} : { scope_filter: scope }),
      });
    const before = hooks.receiver.received.length;
    await hooks.operator.ask('createBudget', 'POST', '/v1/admin/budgets', {
      tenant_id: 'other',
      scope: 'tenant:other/app:x',
      unit: 'TOKENS',
      allocated: { unit: 'TOKENS', amount: 5 },
    });
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/other', { name: 'Other again' });
    await hooks.deliver();
    expect(hooks.receiver.received.slice(before)).toEqual([]);
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme', { name: 'Acme again' });
    await hooks.deliver();
    expect(hooks.receiver.received.slice(before)).toHaveLength(1);
    await hooks.operator.ask('updateWebhookSecurityConfig', 'PUT', '/v1/admin/config/webhook-security', {});
  });
});

describe('permissions and scopes of keys', () => {
  test('403 without the permission that an operation asks for', async () => {
    const id = await makeOf(hooks.acme);
    const reader = await hooks.keyOf('acme', { permissions: ['webhooks:read'] });
    const writer = await hooks.keyOf('acme', { permissions: ['webhooks:write'] });
    const neither = await hooks.keyOf('acme', { permissions: ['events:read'] });
    const needs = { GET: 'webhooks:read', POST: 'webhooks:write', PATCH: 'webhooks:write', DELETE: 'webhooks:write' } as const;
    const lacking = { error: 'INSUFFICIENT_PERMISSIONS' };
    for (const [operation, method, path, body] of ON_ONE.filter(([name]) => name !== 'deleteTenantWebhook')) {
      const mayRead = needs[method] === 'webhooks:read';
      for (const [client, may] of [
        [reader, mayRead],
        [writer, !mayRead],
        [neither, false],
      ] as const) {
        const answer = await client.ask(operation, method, `${OWN}/${id}${path}`, body);
        expect([operation, answer.status]).toEqual([operation, may ? 200 : 403]);
        if (!may) expect(answer.body).toMatchObject(lacking);
      }
    }
    expect(await create(reader)).toMatchObject({ status: 403, body: lacking });
    expect(await writer.ask('listTenantWebhooks', 'GET', OWN)).toMatchObject({ status: 403, body: lacking });
    expect(await reader.ask('deleteTenantWebhook', 'DELETE', `${OWN}/${id}`)).toMatchObject({ status: 403, body: lacking });
  });

  test('the wildcards of older keys are enough', async () => {
    const reader = await hooks.keyOf('acme', { permissions: ['admin:read'] });
    const writer = await hooks.keyOf('acme', { permissions: ['admin:write'] });
    const id = await makeOf(writer);
    expect((await show(reader, id)).status).toBe(200);
    expect((await create(reader)).status).toBe(403);
    expect((await show(writer, id)).status).toBe(403);
  });

  test('a key that is held to some scopes has nothing told elsewhere that it may not see', async () => {
    const held = await hooks.keyOf('acme', { scope_filter: ['app:bot'] });
    const outside = { status: 403, body: { error: 'INSUFFICIENT_PERMISSIONS' } };
    for (const scope of [undefined, '', '*', 'tenant:acme/*', 'tenant:acme', 'tenant:acme/app:bot*', 'tenant:acme/app:other/*'])
      expect([scope, await create(held, { ...NEW, ...(scope === undefined ? {} : { scope_filter: scope }) })]).toMatchObject([
        scope,
        outside,
      ]);
    const id = await makeOf(held, { scope_filter: 'tenant:acme/app:bot/*' });
    await makeOf(held, { scope_filter: 'tenant:acme/app:bot' });
    for (const scope of ['*', 'tenant:acme/*', '']) expect(await patch(held, id, { scope_filter: scope })).toMatchObject(outside);
    expect((await patch(held, id, { name: 'still mine' })).status).toBe(200);
    const whole = await makeOf(hooks.acme);
    for (const [operation, method, path, body] of ON_ONE.filter(([, , , change]) => change !== undefined))
      expect(await held.ask(operation, method, `${OWN}/${whole}${path}`, body)).toMatchObject(outside);
    expect(await held.ask('deleteTenantWebhook', 'DELETE', `${OWN}/${whole}`)).toMatchObject(outside);
    expect(await held.ask('testTenantWebhook', 'POST', `${OWN}/${whole}/test`)).toMatchObject(outside);
    expect((await held.ask('deleteTenantWebhook', 'DELETE', `${OWN}/${id}`)).status).toBe(204);
  });
});

describe('the operator on a tenant’s behalf', () => {
  test('200: changes any tenant’s subscription, and the trail and the event say on whose behalf', async () => {
    const id = await makeOf(hooks.acme);
    const { status, headers, body } = await patch(hooks.operator, id, { status: 'PAUSED', metadata: { reason: '[WEBHOOK_PAUSE]' } });
    expect([status, body['status'], headers['x-cycles-tenant']]).toEqual([200, 'PAUSED', 'acme']);
    const request = String(headers['x-request-id']);
    const { body: trail } = await hooks.operator.ask<{ logs: Body[] }>(
      'listAuditLogs',
      'GET',
      `/v1/admin/audit/logs?request_id=${request}`,
    );
    expect(trail.logs).toMatchObject([
      { operation: 'updateTenantWebhook', tenant_id: 'acme', metadata: { actor_type: 'admin_on_behalf_of' } },
    ]);
    expect(await hooks.events(`request_id=${request}`)).toMatchObject([
      { event_type: 'webhook.paused', actor: { type: 'admin_on_behalf_of' }, correlation_id: `webhook_update:${id}:${request}` },
    ]);
    for (const [operation, method, path, change] of ON_ONE.filter(([name]) => name !== 'deleteTenantWebhook'))
      expect((await hooks.operator.ask(operation, method, `${OWN}/${id}${path}`, change)).status).toBe(200);
    expect((await hooks.operator.ask('deleteTenantWebhook', 'DELETE', `${OWN}/${id}`)).status).toBe(204);
  });

  test('400 for a list that names no tenant, 200 for one that does', async () => {
    expect(await hooks.operator.ask('listTenantWebhooks', 'GET', OWN)).toMatchObject({
      status: 400,
      body: { message: 'tenant query parameter is required when using admin key authentication' },
    });
    const own = await list(hooks.acme, 'limit=100');
    expect(idsOf(await list(hooks.operator, 'tenant=acme&limit=100'))).toEqual(idsOf(own));
    expect((await list(hooks.operator, 'tenant=nobody')).subscriptions).toEqual([]);
  });

  test('with both headers the operator key alone is judged', async () => {
    const id = await makeOf(hooks.acme);
    const answer = await hooks.acme.ask('getTenantWebhook', 'GET', `${OWN}/${id}`, undefined, { 'x-admin-api-key': 'wrong' });
    expect(answer.status).toBe(401);
  });
});

describe('listTenantWebhooks and deleteTenantWebhook', () => {
  test('newest last gone, pages and status; what the operator’s list sorts by is passed over', async () => {
    await hooks.makeTenant('shelf');
    const client = await hooks.keyOf('shelf');
    const made: string[] = [];
    for (const name of ['a', 'b', 'c']) made.push(await makeOf(client, { name }));
    await patch(client, made[1] ?? '', { status: 'PAUSED' });
    const all = idsOf(await list(client));
    expect(new Set(all)).toEqual(new Set(made));
    expect(idsOf(await list(client, 'sort_by=dragons&sort_dir=sideways&search=zzz&event_type=zzz'))).toEqual(all);
    expect(idsOf(await list(client, 'status=PAUSED'))).toEqual([made[1]]);
    const first = await list(client, 'limit=2');
    expect(first.has_more).toBe(true);
    const rest = await list(client, `limit=2&cursor=${first.next_cursor}`);
    expect([idsOf(first), idsOf(rest), rest.has_more]).toEqual([all.slice(0, 2), all.slice(2), false]);
    expect(await client.ask('listTenantWebhooks', 'GET', `${OWN}?status=GONE`)).toMatchObject({ status: 400, body: refused('status') });
    expect((await client.ask('deleteTenantWebhook', 'DELETE', `${OWN}/${made[0]}`)).status).toBe(204);
    expect((await client.ask('deleteTenantWebhook', 'DELETE', `${OWN}/${made[0]}`)).status).toBe(404);
    expect(idsOf(await list(client))).toHaveLength(2);
  });

  test('testTenantWebhook and listTenantWebhookDeliveries: the probe arrives and is kept', async () => {
    await hooks.allowLoopback();
    const id = await makeOf(hooks.acme, { url: hooks.receiver.url });
    const { body } = await hooks.acme.ask<Body>('testTenantWebhook', 'POST', `${OWN}/${id}/test`);
    expect(body).toMatchObject({ success: true, response_status: 204 });
    const got = JSON.parse(hooks.receiver.received.at(-1)?.body ?? '') as Body;
    expect(got).toMatchObject({
      event_type: 'system.webhook_test',
      event_id: body['event_id'],
      tenant_id: 'acme',
      actor: { type: 'api_key' },
    });
    const { body: page } = await hooks.acme.ask<{ deliveries: Body[] }>(
      'listTenantWebhookDeliveries',
      'GET',
      `${OWN}/${id}/deliveries?status=SUCCESS`,
    );
    expect(page.deliveries).toMatchObject([{ event_id: body['event_id'], status: 'SUCCESS', response_status: 204 }]);
    // A tenant is not shown the event itself: it is of a category that only the operator sees.
    const { body: seen } = await hooks.acme.ask<{ events: Body[] }>('listTenantEvents', 'GET', '/v1/events?limit=100');
    expect(seen.events.map(({ category }) => category)).not.toContain('system');
    await hooks.operator.ask('updateWebhookSecurityConfig', 'PUT', '/v1/admin/config/webhook-security', {});
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GovernanceClient } from '../../support/governance-client.ts';
import { makeHooks, type Hooks } from './webhook-harness.ts';

interface Shown {
  readonly event_id: string;
  readonly event_type: string;
  readonly category: string;
  readonly timestamp: string;
  readonly tenant_id: string;
  readonly scope?: string;
  readonly correlation_id?: string;
  readonly request_id?: string;
  readonly trace_id?: string;
  readonly actor: Readonly<Record<string, string>>;
  readonly source: string;
  readonly data: Readonly<Record<string, unknown>>;
}
interface Page {
  readonly events: readonly Shown[];
  readonly has_more: boolean;
  readonly next_cursor?: string;
}

const TRACE = 'a1b2c3d4e5f60718293a4b5c6d7e8f90';
const BIG = 9_007_199_254_740_993n;
const EVENTS = '/v1/admin/events';

let hooks: Hooks;
/** All that the operator is shown, newest first. */
let all: readonly Shown[];
/** The moment of each round, oldest first. */
const moments: string[] = [];
let requestId = '';

const list = async (query = '', client: GovernanceClient = hooks.operator): Promise<Page> => {
  const [operation, path] = client === hooks.operator ? ['listEvents', EVENTS] : ['listTenantEvents', '/v1/events'];
  const { status, body } = await client.ask<Page>(operation, 'GET', `${path}?${query}`);
  expect({ status, body }).toMatchObject({ status: 200 });
  return body;
};
const idsOf = (events: readonly Shown[]): string[] => events.map(({ event_id: id }) => id);
const refused = (field: string): object => ({
  status: 400,
  body: { error: 'INVALID_REQUEST', message: expect.stringContaining(field) as string },
});

/** Every page of a list, one after another. */
async function walk(query: string, limit: number, client?: GovernanceClient): Promise<Shown[]> {
  const events: Shown[] = [];
  let cursor: string | undefined;
  do {
    const page = await list(`${query}&limit=${limit}${cursor === undefined ? '' : `&cursor=${cursor}`}`, client);
    expect(page.events.length).toBeLessThanOrEqual(limit);
    expect(page.has_more).toBe(page.next_cursor !== undefined);
    events.push(...page.events);
    cursor = page.next_cursor;
  } while (cursor !== undefined);
  return events;
}

beforeAll(async () => {
  hooks = await makeHooks();
  const { operator, clock, acme } = hooks;
  const round = (): void => {
    clock.advance(1000);
    moments.push(new Date(clock.nowMs()).toISOString());
  };
  const budget = async (tenantId: string, scope: string, headers?: Record<string, string>) => {
    const body = { tenant_id: tenantId, scope, unit: 'TOKENS', allocated: { unit: 'TOKENS', amount: 100 } };
    expect((await operator.ask('createBudget', 'POST', '/v1/admin/budgets', body, headers)).status).toBe(201);
  };
  round();
  await budget('acme', 'tenant:acme');
  await budget('acme', 'tenant:acme/app:a', { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` });
  await budget('acme', 'tenant:acme/app:ab');
  await budget('acme', 'tenant:acme/app:a/agent:x');
  await budget('other', 'tenant:other/app:a');
  round();
  const frozen = await operator.ask('freezeBudget', 'POST', '/v1/admin/budgets/freeze?scope=tenant:acme/app:ab&unit=TOKENS', {});
  requestId = String(frozen.headers['x-request-id']);
  const policy = { tenant_id: 'acme', name: 'All', scope_pattern: 'tenant:acme/*' };
  expect((await operator.ask('createPolicy', 'POST', '/v1/admin/policies', policy)).status).toBe(201);
  round();
  const credit = await hooks.at.operator(
    'POST',
    '/v1/admin/budgets/fund?scope=tenant:acme&unit=TOKENS',
    `{"operation":"CREDIT","amount":{"unit":"TOKENS","amount":${BIG}}}`,
  );
  expect(credit.status).toBe(200);
  await hooks.subscribe({}, 'acme');
  await acme.ask('createTenantWebhook', 'POST', '/v1/webhooks', { url: 'https://hooks.example.com/', event_types: ['budget.created'] });
  const bulk = { action: 'SUSPEND', filter: { search: 'other' }, idempotency_key: 'k' };
  expect((await operator.ask('bulkActionTenants', 'POST', '/v1/admin/tenants/bulk-action', bulk)).status).toBe(200);
  await operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/other', { status: 'ACTIVE' });
  const id = hooks.at.ids.next('cmd');
  await hooks.at.writer.execute({ verb: 'tell-events', id, tenantId: 'acme', tellings: [{ type: 'model.created', data: { model: 'm' } }] });
  all = (await list('limit=100')).events;
});
afterAll(() => hooks.close());

describe('listEvents', () => {
  test('shows what happened, newest first, each with who did it in which request', () => {
    expect(all.length).toBeGreaterThan(15);
    expect(all.length).toBeLessThan(100);
    const timestamps = all.map(({ timestamp }) => timestamp);
    expect(timestamps).toEqual(timestamps.toSorted().toReversed());
    expect(all.find(({ event_type: type }) => type === 'budget.frozen')).toEqual({
      event_id: expect.stringMatching(/^evt_/) as string,
      event_type: 'budget.frozen',
      category: 'budget',
      timestamp: '2026-04-09T00:00:02Z',
      tenant_id: 'acme',
      scope: 'tenant:acme/app:ab',
      actor: { type: 'admin', source_ip: '127.0.0.1' },
      source: 'cycles-admin',
      data: expect.objectContaining({ scope: 'tenant:acme/app:ab', unit: 'TOKENS', operation: 'STATUS_CHANGE' }) as object,
      request_id: requestId,
      trace_id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
    });
    expect(all.find(({ actor }) => actor['type'] === 'api_key')).toMatchObject({
      event_type: 'webhook.created',
      actor: { key_id: expect.any(String) as string },
    });
  });

  test('amounts are exact beyond 2^53', async () => {
    const { text } = await hooks.at.operator('GET', `${EVENTS}?event_type=budget.funded`);
    expect(text).toContain(`"allocated":${BIG + 100n}`);
  });

  const within =
    (scope: string) =>
    (event: Shown): boolean =>
      event.scope === scope || event.scope?.startsWith(`${scope}/`) === true;
  test.each<[string, (event: Shown) => boolean]>([
    ['tenant_id=acme', (event) => event.tenant_id === 'acme'],
    ['tenant_id=other', (event) => event.tenant_id === 'other'],
    ['event_type=budget.created', (event) => event.event_type === 'budget.created'],
    ['event_type=policy.created', (event) => event.event_type === 'policy.created'],
    ['category=budget', (event) => event.category === 'budget'],
    ['category=api_key', (event) => event.category === 'api_key'],
    ['category=webhook&tenant_id=acme', (event) => event.category === 'webhook' && event.tenant_id === 'acme'],
    ['scope=tenant:acme', within('tenant:acme')],
    ['scope=tenant:acme/app:a', within('tenant:acme/app:a')],
    ['scope=Tenant:ACME/App:A', within('tenant:acme/app:a')],
    ['scope=tenant:acme/app:ab', within('tenant:acme/app:ab')],
    [`trace_id=${TRACE}`, (event) => event.trace_id === TRACE],
    ['from=2026-04-09T00:00:02Z', (event) => event.timestamp >= '2026-04-09T00:00:02Z'],
    ['to=2026-04-09T00:00:01Z', (event) => event.timestamp <= '2026-04-09T00:00:01Z'],
    ['from=2026-04-09T00:00:02Z&to=2026-04-09T00:00:02Z', (event) => event.timestamp === '2026-04-09T00:00:02Z'],
    ['from=2026-04-09T02:00:02%2B02:00', (event) => event.timestamp >= '2026-04-09T00:00:02Z'],
    ['search=APP:A', (event) => event.scope?.includes('app:a') === true],
    ['search=Bulk_Action', (event) => event.correlation_id?.includes('bulk_action') === true],
    ['search=webhook_create', (event) => event.correlation_id?.startsWith('webhook_create') === true],
    ['search=%20%20', () => true],
    [
      'tenant_id=acme&category=budget&scope=tenant:acme/app:a&event_type=budget.created',
      (event) => event.event_type === 'budget.created' && within('tenant:acme/app:a')(event),
    ],
    ['unknown=1', () => true],
  ])('%s', async (query, wanted) => {
    const expected = idsOf(all.filter(wanted));
    expect(expected).not.toEqual([]);
    expect(idsOf((await list(`${query}&limit=100`)).events)).toEqual(expected);
  });

  test('request_id and correlation_id find what one request and one act did', async () => {
    expect((await list(`request_id=${requestId}`)).events).toMatchObject([{ event_type: 'budget.frozen' }]);
    const act = all.find(({ correlation_id: id }) => id?.startsWith('tenant_bulk_action'))?.correlation_id ?? '';
    expect((await list(`correlation_id=${act}`)).events).toMatchObject([{ event_type: 'tenant.suspended', tenant_id: 'other' }]);
    expect((await list(`request_id=${requestId}&tenant_id=other`)).events).toEqual([]);
    expect((await list(`category=budget&event_type=policy.created`)).events).toEqual([]);
    expect((await list(`tenant_id=__system__`)).events).toEqual([]);
  });

  const KEYS = {
    timestamp: (event: Shown) => event.timestamp,
    event_type: (event: Shown) => event.event_type,
    category: (event: Shown) => event.category,
    scope: (event: Shown) => event.scope ?? '',
    tenant_id: (event: Shown) => event.tenant_id,
  } as const;
  test.each(Object.keys(KEYS) as (keyof typeof KEYS)[])('sorted by %s, both ways, in pages of any size', async (key) => {
    for (const direction of ['asc', 'desc'] as const) {
      const query = `sort_by=${key}&sort_dir=${direction}`;
      const whole = (await list(`${query}&limit=100`)).events;
      expect(new Set(idsOf(whole))).toEqual(new Set(idsOf(all)));
      const values = whole.map(KEYS[key]);
      const ascending = values.toSorted();
      expect(values).toEqual(direction === 'asc' ? ascending : ascending.toReversed());
      for (const limit of [1, 3, 7, whole.length]) expect(idsOf(await walk(query, limit))).toEqual(idsOf(whole));
    }
  });

  test.each([
    'category=budget&sort_by=scope&sort_dir=asc',
    'scope=tenant:acme',
    'search=acme',
    'tenant_id=acme&sort_by=event_type',
    `trace_id=${TRACE}`,
  ])('pages of %s show everything once', async (query) => {
    expect(idsOf(await walk(query, 2))).toEqual(idsOf((await list(`${query}&limit=100`)).events));
  });

  test('a page is not moved by what happens meanwhile', async () => {
    const first = await list('limit=3&tenant_id=acme');
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme', { name: 'Acme meanwhile' });
    const second = await list(`limit=3&tenant_id=acme&cursor=${first.next_cursor}`);
    expect(idsOf([...first.events, ...second.events])).toEqual(idsOf(all.filter(({ tenant_id: id }) => id === 'acme').slice(0, 6)));
  });

  test.each<[string, string]>([
    ['event_type=budget.dragons', 'event_type'],
    ['event_type=model.created', 'event_type'],
    ['category=dragons', 'category'],
    ['trace_id=A1B2C3D4E5F60718293A4B5C6D7E8F90', 'trace_id'],
    ['trace_id=abc', 'trace_id'],
    ['from=yesterday', 'from'],
    ['to=2026-13-01T00:00:00Z', 'to'],
    ['from=2026-04-09T00:00:02Z&to=2026-04-09T00:00:01Z', 'from'],
    ['sort_by=actor', 'sort_by'],
    ['sort_dir=up', 'sort_dir'],
    ['limit=x', 'limit'],
    ['cursor=x', 'cursor'],
    [`search=${'a'.repeat(129)}`, 'search'],
  ])('400: %s', async (query, field) => {
    expect(await hooks.operator.ask('listEvents', 'GET', `${EVENTS}?${query}`)).toMatchObject(refused(field));
  });

  test('a cursor is good for the same filters and order only', async () => {
    const { next_cursor: cursor } = await list('limit=1&tenant_id=acme');
    for (const query of [
      'tenant_id=other',
      'tenant_id=acme&sort_by=scope',
      'tenant_id=acme&category=budget',
      'tenant_id=acme&sort_dir=asc',
    ])
      expect(await hooks.operator.ask('listEvents', 'GET', `${EVENTS}?limit=1&${query}&cursor=${cursor}`)).toMatchObject(refused('cursor'));
  });

  test('limits out of bounds are taken for the nearest', async () => {
    expect((await list('limit=0')).events).toHaveLength(1);
    expect((await list('limit=2000')).events.length).toBeGreaterThanOrEqual(all.length);
  });

  test('401 for tenants and for nobody', async () => {
    expect((await hooks.acme.ask('listEvents', 'GET', EVENTS)).status).toBe(401);
    expect((await hooks.acme.ask('getEvent', 'GET', `${EVENTS}/${all[0]?.event_id}`)).status).toBe(401);
  });
});

describe('getEvent', () => {
  test('200: each event by itself, as the list shows it', async () => {
    for (const event of all) {
      const { status, body } = await hooks.operator.ask('getEvent', 'GET', `${EVENTS}/${event.event_id}`);
      expect([status, body]).toEqual([200, event]);
    }
  });

  test('404 for what never happened', async () => {
    expect(await hooks.operator.ask('getEvent', 'GET', `${EVENTS}/evt_never`)).toMatchObject({
      status: 404,
      body: { error: 'EVENT_NOT_FOUND' },
    });
  });

  test('types that are only ours show on the operator’s own list, and nowhere here', async () => {
    const { json } = await hooks.at.operator('GET', '/v1/x-castellan/events?tenant_id=acme&limit=1000');
    const own = (json as { events: { id: string; type: string }[] }).events.find(({ type }) => type === 'model.created');
    expect(own).toBeDefined();
    expect((await hooks.operator.ask('getEvent', 'GET', `${EVENTS}/${own?.id}`)).status).toBe(404);
    expect(idsOf(all)).not.toContain(own?.id);
  });
});

describe('listTenantEvents', () => {
  const CATEGORIES = new Set(['budget', 'reservation', 'tenant']);

  test('shows a tenant its own budgets, reservations and itself, and nothing else', async () => {
    const { events } = await list('limit=100', hooks.acme);
    const now = (await list('tenant_id=acme&limit=100')).events;
    expect(events).toEqual(now.filter(({ category }) => CATEGORIES.has(category)));
    expect(events.length).toBeLessThan(now.length);
    expect((await list('limit=100', hooks.other)).events.every(({ tenant_id: id }) => id === 'other')).toBe(true);
  });

  test.each([
    'tenant_id=other',
    'scope=tenant:other',
    'scope=tenant:other/app:a',
    'correlation_id=tenant_bulk_action',
    'category=api_key',
    'category=policy',
    'category=webhook',
    'category=system',
    'event_type=policy.created',
  ])('shows nothing of others by %s', async (query) => {
    const { events } = await list(`${query}&limit=100`, hooks.acme);
    expect(events.filter(({ tenant_id: id, category }) => id !== 'acme' || !CATEGORIES.has(category))).toEqual([]);
    if (!query.startsWith('tenant_id')) expect(events).toEqual([]);
  });

  test.each<[string, (event: Shown) => boolean]>([
    ['event_type=budget.created', (event) => event.event_type === 'budget.created'],
    ['category=budget', (event) => event.category === 'budget'],
    ['scope=tenant:acme/app:a', (event) => /^tenant:acme\/app:a(\/|$)/.test(event.scope ?? '')],
    ['from=2026-04-09T00:00:02Z&to=2026-04-09T00:00:02Z', (event) => event.timestamp === '2026-04-09T00:00:02Z'],
    ['sort_by=dragons&sort_dir=up&search=zzz', () => true],
  ])('%s', async (query, wanted) => {
    const own = (await list('limit=100', hooks.acme)).events;
    const expected = idsOf(own.filter(wanted));
    expect(expected).not.toEqual([]);
    expect(idsOf((await list(`${query}&limit=100`, hooks.acme)).events)).toEqual(expected);
    expect(idsOf(await walk(query, 2, hooks.acme))).toEqual(expected);
  });

  test('shows a key that is held to some scopes what they cover, and what concerns no scope', async () => {
    const held = await hooks.keyOf('acme', { scope_filter: ['app:a'] });
    const { events } = await list('limit=100', held);
    const own = (await list('limit=100', hooks.acme)).events;
    expect(idsOf(events)).toEqual(idsOf(own.filter(({ scope }) => scope === undefined || scope.split('/').includes('app:a'))));
    expect(idsOf(await walk('', 3, held))).toEqual(idsOf(events));
    expect((await list('scope=tenant:acme/app:a', held)).events).not.toEqual([]);
    for (const scope of ['tenant:acme', 'tenant:acme/app:ab'])
      expect(await held.ask('listTenantEvents', 'GET', `/v1/events?scope=${scope}`)).toMatchObject({
        status: 403,
        body: { error: 'INSUFFICIENT_PERMISSIONS' },
      });
  });

  test('403 without events:read, 401 for the operator key', async () => {
    const without = await hooks.keyOf('acme', { permissions: ['budgets:read'] });
    expect(await without.ask('listTenantEvents', 'GET', '/v1/events')).toMatchObject({
      status: 403,
      body: { error: 'INSUFFICIENT_PERMISSIONS' },
    });
    const old = await hooks.keyOf('acme', { permissions: ['admin:read'] });
    expect((await old.ask('listTenantEvents', 'GET', '/v1/events')).status).toBe(200);
    expect((await hooks.operator.ask('listTenantEvents', 'GET', '/v1/events')).status).toBe(401);
  });

  test.each<[string, string]>([
    ['event_type=budget.dragons', 'event_type'],
    ['category=dragons', 'category'],
    ['from=x', 'from'],
    ['cursor=x', 'cursor'],
    ['limit=x', 'limit'],
  ])('400: %s', async (query, field) => {
    expect(await hooks.acme.ask('listTenantEvents', 'GET', `/v1/events?${query}`)).toMatchObject(refused(field));
  });

  test('another tenant’s cursor is none', async () => {
    const { next_cursor: cursor } = await list('limit=1', hooks.acme);
    expect(await hooks.other.ask('listTenantEvents', 'GET', `/v1/events?limit=1&cursor=${cursor}`)).toMatchObject(refused('cursor'));
  });
});

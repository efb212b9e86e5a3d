import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { expectAnswer } from '../../support/cycles-answers.ts';
import { makeHooks, URL_OUTSIDE, type Hooks } from './webhook-harness.ts';

type Body = Record<string, unknown>;

let hooks: Hooks;
/** Sends with a key of the tenant `acme` on the runtime plane. */
let runtime: (operation: string, path: string, body: Body) => Promise<{ status: number; body: Body }>;
/** An application of its own for each test, so that no test meets the budgets of another. */
let app = '';
let apps = 0;

beforeAll(async () => {
  hooks = await makeHooks();
  const permissions = ['reservations:create', 'reservations:commit', 'reservations:release', 'events:create'];
  const made = await hooks.operator.ask('createApiKey', 'POST', '/v1/admin/api-keys', { tenant_id: 'acme', name: 'run', permissions });
  const send = hooks.at.cycles(String(made.body['key_secret']));
  runtime = async (operation, path, body) => {
    const { status, json } = await send('POST', path, body);
    expectAnswer(operation, status, json, 'runtime');
    return { status, body: json };
  };
  await hooks.allowLoopback();
});
beforeEach(() => {
  apps += 1;
  app = `app${apps}`;
  hooks.clock.advance(1000);
  hooks.receiver.status = 204;
  hooks.receiver.received.length = 0;
});
afterAll(() => hooks.close());

const WEBHOOKS = '/v1/admin/webhooks';
const tokens = (amount: number): object => ({ unit: 'TOKENS', amount });
const scopeOf = (deeper = ''): string => `tenant:acme/app:${app}${deeper}`;
const makeBudget = async (scope: string, amount: number, parts: Body = {}): Promise<void> => {
  const body = { tenant_id: scope.split('/')[0]?.slice('tenant:'.length), scope, unit: 'TOKENS', allocated: tokens(amount), ...parts };
  expect(await hooks.operator.ask('createBudget', 'POST', '/v1/admin/budgets', body)).toMatchObject({ status: 201 });
};
const action = { kind: 'llm.call', name: 'm' };
const reserve = async (amount: number, parts: Body = {}): Promise<string> => {
  const subject = { tenant: 'acme', app, ...(parts['agent'] === undefined ? {} : { agent: parts['agent'] }) };
  const { status, body } = await runtime('createReservation', '/v1/reservations', {
    idempotency_key: `reserve-${app}-${amount}`,
    subject,
    action,
    estimate: tokens(amount),
    ttl_ms: 1000,
    grace_period_ms: 0,
    overage_policy: 'ALLOW_IF_AVAILABLE',
  });
  expect({ status, body }).toMatchObject({ status: 200, body: { decision: 'ALLOW' } });
  return String(body['reservation_id']);
};
const commit = (id: string, amount: number, key = `commit-${app}`) =>
  runtime('commitReservation', `/v1/reservations/${id}/commit`, { idempotency_key: key, actual: tokens(amount) });
const told = (type: string) => hooks.events(`event_type=${type}&scope=${scopeOf()}`);
const dataOf = (events: readonly Body[]): unknown[] => events.map(({ data }) => data);
const sent = (): Body[] => hooks.receiver.received.map(({ body }) => JSON.parse(body) as Body);

describe('what is repeated', () => {
  test('is told once: a commit, a charge and a funding under their keys', async () => {
    await makeBudget(scopeOf(), 100);
    const id = await reserve(10);
    const first = await commit(id, 15);
    expect(await commit(id, 15)).toEqual(first);
    expect(await told('reservation.commit_overage')).toHaveLength(1);
    const charge = { idempotency_key: `charge-${app}`, subject: { tenant: 'acme', app }, action, actual: tokens(85) };
    const charged = await runtime('createEvent', '/v1/events', charge);
    expect(await runtime('createEvent', '/v1/events', charge)).toEqual(charged);
    expect(await told('budget.exhausted')).toHaveLength(1);
    const fund = { operation: 'CREDIT', amount: tokens(5), idempotency_key: `fund-${app}` };
    for (let times = 0; times < 2; times++)
      await hooks.operator.ask('fundBudget', 'POST', `/v1/admin/budgets/fund?scope=${scopeOf()}&unit=TOKENS`, fund);
    expect(await told('budget.funded')).toHaveLength(1);
  });
});

describe('an overage', () => {
  test('is told where more was used than held, and only there', async () => {
    await makeBudget(scopeOf(), 1000);
    for (const [estimate, actual] of [
      [10, 9],
      [11, 11],
      [12, 0],
    ] as const) {
      await commit(await reserve(estimate), actual, `commit-${app}-${estimate}`);
      expect(await told('reservation.commit_overage')).toEqual([]);
    }
    const id = await reserve(13);
    await commit(id, 14);
    expect(dataOf(await told('reservation.commit_overage'))).toEqual([
      {
        reservation_id: id,
        scope: scopeOf(),
        unit: 'TOKENS',
        estimated_amount: 13,
        actual_amount: 14,
        overage: 1,
        overage_policy: 'ALLOW_IF_AVAILABLE',
        debt_incurred: 0,
      },
    ]);
  });
});

describe('an expiry', () => {
  test('is told once, with what was held and for how long, and not of a release that speaks of it', async () => {
    await makeBudget(scopeOf(), 100);
    const released = await reserve(7);
    const words = { idempotency_key: `release-${app}`, reason: 'EXPIRED lease of the worker' };
    expect((await runtime('releaseReservation', `/v1/reservations/${released}/release`, words)).status).toBe(200);
    const id = await reserve(9);
    const createdAt = new Date(hooks.clock.nowMs()).toISOString().replace('.000', '');
    hooks.clock.advance(2000);
    const expire = () => hooks.at.writer.execute({ verb: 'expire', id: hooks.at.ids.next('cmd'), tenantId: 'acme', reservationId: id });
    await expire();
    await expire();
    expect((await commit(id, 1)).status).toBe(410);
    expect(dataOf(await told('reservation.expired'))).toEqual([
      {
        reservation_id: id,
        scope: scopeOf(),
        unit: 'TOKENS',
        estimated_amount: 9,
        created_at: createdAt,
        expired_at: expect.stringMatching(/^2026-04-09T/) as string,
        ttl_ms: 1000,
        extensions_used: 0,
      },
    ]);
  });
});

describe('a transition of budgets', () => {
  test('is told once of each budget that makes it, whatever many scopes the act has', async () => {
    await makeBudget(scopeOf(), 10);
    await makeBudget(scopeOf('/agent:x'), 10);
    await makeBudget(scopeOf('/agent:y'), 20);
    await reserve(10, { agent: 'x' });
    const exhausted = await told('budget.exhausted');
    expect(exhausted.map(({ scope }) => scope).toSorted((a, b) => String(a).localeCompare(String(b)))).toEqual([
      scopeOf(),
      scopeOf('/agent:x'),
    ]);
    expect(new Set(exhausted.map(({ event_id: id }) => id)).size).toBe(2);
  });

  test('below 0 is as much an exhaustion as at 0, and told once on the way down', async () => {
    await makeBudget(scopeOf(), 10, { overdraft_limit: tokens(100) });
    const charge = (key: string, amount: number) =>
      runtime('createEvent', '/v1/events', {
        idempotency_key: `${key}-${app}`,
        subject: { tenant: 'acme', app },
        action,
        actual: tokens(amount),
        overage_policy: 'ALLOW_WITH_OVERDRAFT',
      });
    expect((await charge('a', 15)).status).toBe(201);
    expect((await charge('b', 5)).status).toBe(201);
    expect(dataOf(await told('budget.exhausted'))).toMatchObject([{ threshold: 1, direction: 'rising' }]);
    expect(dataOf(await told('budget.debt_incurred'))).toMatchObject([
      { debt_incurred: 5, total_debt: 10 },
      { debt_incurred: 5, total_debt: 5 },
    ]);
  });
});

describe('events for the operator alone', () => {
  test('never leave to a tenant’s address: not when they happen, and not when they are replayed', async () => {
    const { id } = await hooks.subscribe({ url: hooks.receiver.url, event_types: ['tenant.suspended'] }, 'acme');
    await hooks.raw(
      `UPDATE webhooks SET body = json_set(body, '$.eventCategories', json('["api_key", "policy", "system"]')) WHERE id = '${id}'`,
    );
    // Some other change, so that rows are read anew.
    await hooks.subscribe();
    await hooks.keyOf('acme');
    await hooks.operator.ask('createPolicy', 'POST', '/v1/admin/policies', {
      tenant_id: 'acme',
      name: app,
      scope_pattern: 'tenant:acme/*',
    });
    await hooks.deliver();
    expect(sent()).toEqual([]);
    const replay = await hooks.operator.ask('replayEvents', 'POST', `${WEBHOOKS}/${id}/replay`, { max_events: 1000 });
    expect(replay).toMatchObject({ status: 202, body: { events_queued: 0 } });
    await hooks.deliver();
    expect(sent()).toEqual([]);
    await hooks.operator.ask('deleteWebhookSubscription', 'DELETE', `${WEBHOOKS}/${id}`);
  });

  test('are not among the events that a tenant lists', async () => {
    await hooks.operator.ask('createPolicy', 'POST', '/v1/admin/policies', {
      tenant_id: 'acme',
      name: app,
      scope_pattern: 'tenant:acme/*',
    });
    await hooks.keyOf('acme');
    const { body } = await hooks.acme.ask<{ events: Body[] }>('listTenantEvents', 'GET', '/v1/events?limit=100');
    expect(new Set(body.events.map(({ category }) => category)).isSubsetOf(new Set(['budget', 'reservation', 'tenant']))).toBe(true);
  });
});

describe('a change that empties the selectors', () => {
  test('is refused, and the subscription goes on with what it selected', async () => {
    const { id } = await hooks.subscribe({ url: hooks.receiver.url, event_types: ['budget.frozen'] }, 'acme');
    expect((await hooks.patch(id, { event_types: [], event_categories: [] })).status).toBe(400);
    await makeBudget(scopeOf(), 1);
    await hooks.operator.ask('freezeBudget', 'POST', `/v1/admin/budgets/freeze?scope=${scopeOf()}&unit=TOKENS`, {});
    await hooks.deliver();
    expect(sent().map(({ event_type: type }) => type)).toEqual(['budget.frozen']);
    await hooks.operator.ask('deleteWebhookSubscription', 'DELETE', `${WEBHOOKS}/${id}`);
  });
});

describe('a scope filter', () => {
  test('with a star means what goes on below, never the scope itself, a sibling, or an event without one', async () => {
    const base = scopeOf();
    const filters = [`${base}/*`, `${base}*`, base, base.toUpperCase(), '*', '', `${base}/agent:x`, 'tenant:acme/*'];
    const ids: string[] = [];
    for (const filter of filters)
      ids.push(
        (
          await hooks.subscribe(
            { url: `${hooks.receiver.url}?${ids.length}`, event_types: ['budget.created', 'tenant.updated'], scope_filter: filter },
            'acme',
          )
        ).id,
      );
    for (const scope of [base, `${base}/agent:x`, `${base}b`]) await makeBudget(scope, 1);
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme', { name: `Acme ${app}` });
    await hooks.deliver();
    const got: Record<string, string[]> = {};
    for (const [at, filter] of filters.entries()) {
      const { body } = await hooks.operator.ask<{ deliveries: { event_id: string }[] }>(
        'listWebhookDeliveries',
        'GET',
        `${WEBHOOKS}/${ids[at]}/deliveries`,
      );
      const scopes = await Promise.all(
        body.deliveries.map(
          async ({ event_id: id }) => (await hooks.operator.ask('getEvent', 'GET', `/v1/admin/events/${id}`)).body['scope'],
        ),
      );
      got[filter] = scopes
        .map((scope) => (scope === undefined ? '-' : (scope as string).slice(base.length) || 'itself'))
        .toSorted((a, b) => a.localeCompare(b));
    }
    expect(got).toEqual({
      [`${base}/*`]: ['/agent:x'],
      [`${base}*`]: ['/agent:x', 'b'],
      [base]: ['itself'],
      [base.toUpperCase()]: ['itself'],
      '*': ['/agent:x', 'b', 'itself'],
      '': ['-', '/agent:x', 'b', 'itself'],
      [`${base}/agent:x`]: ['/agent:x'],
      'tenant:acme/*': ['/agent:x', 'b', 'itself'],
    });
    for (const id of ids) await hooks.operator.ask('deleteWebhookSubscription', 'DELETE', `${WEBHOOKS}/${id}`);
  });
});

describe('a replay', () => {
  test('counts what the subscription would be sent, not what it looked at, and is whole or refused', async () => {
    const from = new Date(hooks.clock.nowMs()).toISOString();
    for (let at = 0; at < 6; at++) await makeBudget(scopeOf(`/agent:a${at}`), 1);
    await hooks.operator.ask('freezeBudget', 'POST', `/v1/admin/budgets/freeze?scope=${scopeOf('/agent:a0')}&unit=TOKENS`, {});
    hooks.clock.advance(1);
    const { id } = await hooks.subscribe(
      { url: hooks.receiver.url, event_types: ['budget.created', 'budget.frozen'], scope_filter: scopeOf('/agent:a0') },
      'acme',
    );
    const replay = (maxEvents: number) =>
      hooks.operator.ask('replayEvents', 'POST', `${WEBHOOKS}/${id}/replay`, { from, max_events: maxEvents });
    expect(await replay(1)).toMatchObject({ status: 400, body: { error: 'INVALID_REQUEST' } });
    expect(await replay(2)).toMatchObject({ status: 202, body: { events_queued: 2 } });
    await hooks.deliver();
    expect(sent().map(({ event_type: type }) => type)).toEqual(['budget.created', 'budget.frozen']);
    await hooks.operator.ask('deleteWebhookSubscription', 'DELETE', `${WEBHOOKS}/${id}`);
  });
});

describe('a change while something is delivered', () => {
  test('stays: what the delivery writes is beside it', async () => {
    const { id } = await hooks.subscribe(
      { url: hooks.receiver.url, event_types: ['budget.created'], retry_policy: { max_retries: 0 } },
      'acme',
    );
    hooks.receiver.status = 500;
    const changed = { name: 'Changed meanwhile', url: URL_OUTSIDE, event_types: ['budget.frozen'], status: 'PAUSED' };
    hooks.receiver.before = async () => expect((await hooks.patch(id, changed)).status).toBe(200);
    await makeBudget(scopeOf(), 1);
    await hooks.deliver();
    hooks.receiver.before = () => Promise.resolve();
    expect(await hooks.show(id)).toMatchObject({ ...changed, consecutive_failures: 1 });
  });
});

describe('names on the wire', () => {
  test('of a delivery are those that dashboards read', async () => {
    const { id } = await hooks.subscribe({ url: hooks.receiver.url, event_types: ['budget.created'] }, 'acme');
    await makeBudget(scopeOf(), 1);
    await hooks.deliver();
    const { body } = await hooks.operator.ask<{ deliveries: Body[] }>('listWebhookDeliveries', 'GET', `${WEBHOOKS}/${id}/deliveries`);
    const [delivery = {}] = body.deliveries;
    expect(delivery).toMatchObject({
      status: 'SUCCESS',
      response_status: 204,
      attempts: 1,
      response_time_ms: expect.any(Number) as number,
    });
    expect(delivery).not.toHaveProperty('http_status');
    await hooks.operator.ask('deleteWebhookSubscription', 'DELETE', `${WEBHOOKS}/${id}`);
  });
});

describe('a receiver on plain HTTP', () => {
  test('gets the body with the first request, without an offer to change the protocol', async () => {
    const { id } = await hooks.subscribe({ url: hooks.receiver.url, event_types: ['budget.created'] }, 'acme');
    await makeBudget(scopeOf(), 1);
    await hooks.deliver();
    const [got] = hooks.receiver.received;
    expect(hooks.receiver.received).toHaveLength(1);
    expect(Number(got?.headers['content-length'])).toBe(Buffer.byteLength(got?.body ?? ''));
    expect(JSON.parse(got?.body ?? '')).toMatchObject({ event_type: 'budget.created', scope: scopeOf() });
    for (const header of ['upgrade', 'http2-settings', 'expect']) expect(got?.headers).not.toHaveProperty(header);
    await hooks.operator.ask('deleteWebhookSubscription', 'DELETE', `${WEBHOOKS}/${id}`);
  });
});

describe('secrets', () => {
  test('are in no column of any table in the clear', async () => {
    const { secret } = await hooks.subscribe({ headers: { 'X-Token': 'tok_in_the_clear' } }, 'acme');
    const tables = await hooks.raw("SELECT name FROM sqlite_schema WHERE type = 'table'");
    for (const { name } of tables) {
      const text = JSON.stringify(await hooks.raw(`SELECT * FROM "${String(name)}"`), (_key, value: unknown) =>
        typeof value === 'bigint' ? String(value) : value,
      );
      expect([name, text.includes(secret), text.includes('tok_in_the_clear')]).toEqual([name, false, false]);
    }
  });
});

describe('what other servers take', () => {
  test.each<[string, Body, string, number]>([
    ['an address that is nobody’s', { url: 'https://0.0.0.0/' }, '', 400],
    ['a subscription that no failure disables', { disable_after_failures: 0 }, '', 400],
    ['a subscription of a tenant that nobody made', {}, '?tenant_id=nobody', 404],
  ])('is refused: %s', async (_name, parts, query, wanted) => {
    const body = { url: URL_OUTSIDE, event_types: ['budget.created'], ...parts };
    expect((await hooks.operator.ask('createWebhookSubscription', 'POST', `${WEBHOOKS}${query}`, body)).status).toBe(wanted);
  });

  test('is refused: a range of 33 bits', async () => {
    const config = '/v1/admin/config/webhook-security';
    expect((await hooks.operator.ask('updateWebhookSecurityConfig', 'PUT', config, { blocked_cidr_ranges: ['10.0.0.0/33'] })).status).toBe(
      400,
    );
  });
});

describe('the data of events', () => {
  test('say which fields changed and what stood before', async () => {
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/other', { name: app });
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/other', { status: 'SUSPENDED' });
    await hooks.operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/other', { status: 'ACTIVE' });
    const events = await hooks.events('tenant_id=other&category=tenant&sort_dir=asc&sort_by=timestamp&limit=100');
    expect(dataOf(events.slice(-3))).toMatchObject([
      { tenant_id: 'other', changed_fields: ['name'] },
      { previous_status: 'ACTIVE', new_status: 'SUSPENDED' },
      { previous_status: 'SUSPENDED', new_status: 'ACTIVE' },
    ]);
  });

  test('of a funding name the ledger, and its state before and after', async () => {
    await makeBudget(scopeOf(), 10);
    await hooks.operator.ask('fundBudget', 'POST', `/v1/admin/budgets/fund?scope=${scopeOf()}&unit=TOKENS`, {
      operation: 'CREDIT',
      amount: tokens(5),
      idempotency_key: app,
    });
    expect(dataOf(await told('budget.funded'))).toMatchObject([
      { ledger_id: expect.any(String) as string, operation: 'CREDIT', previous_state: { allocated: 10 }, new_state: { allocated: 15 } },
    ]);
  });

  test('of a policy belong to its tenant, also where it is changed', async () => {
    const { body } = await hooks.operator.ask('createPolicy', 'POST', '/v1/admin/policies', {
      tenant_id: 'acme',
      name: app,
      scope_pattern: 'tenant:acme/*',
    });
    await hooks.operator.ask('updatePolicy', 'PATCH', `/v1/admin/policies/${String(body['policy_id'])}`, { priority: 3 });
    const [event] = await hooks.events('event_type=policy.updated');
    expect(event).toMatchObject({ tenant_id: 'acme', data: { policy_id: body['policy_id'], changed_fields: ['priority'] } });
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectAnswer, type Plane } from '../../support/cycles-answers.ts';
import { makeHttpClient, type Answer, type HttpClient } from '../../support/http-client.ts';
import { startServer, type TestServer } from '../../support/server-process.ts';

/** Where the page of the dashboard comes from; its proxy hands requests on without this port. */
const PAGE = 'http://localhost:8080';
const UNIT = 'USD_MICROCENTS';
const TENANT = 'acme-corp';
const SCOPE = `tenant:${TENANT}`;
const BUDGET = `scope=${encodeURIComponent(SCOPE)}&unit=${UNIT}`;
const amount = (value: number) => ({ unit: UNIT, amount: value });

type Body = Readonly<Record<string, unknown>>;

let server: TestServer;
let http: HttpClient;
let keySecret: string;

beforeAll(async () => {
  server = await startServer({ store: { kind: 'sqlite' }, env: { CASTELLAN_ALLOWED_ORIGINS: PAGE } });
  http = makeHttpClient();
});
afterAll(async () => {
  await http.close();
  await server.dispose();
});

/**
 * Sends a request as the page does through its proxy: reservations to the runtime plane, everything else to the governance plane, with the
 * operator's key, a JSON content type even where there is no body, and the page's origin on what is no plain read.
 */
async function send(method: string, path: string, body?: Body): Promise<Answer> {
  const isRuntime = path.startsWith('/v1/reservations');
  const headers = {
    'x-admin-api-key': server.credentials().operator_key,
    'content-type': 'application/json',
    'x-forwarded-for': '192.0.2.1',
    'x-forwarded-proto': 'http',
    ...(method === 'GET' ? {} : { origin: PAGE }),
  };
  const sent = body === undefined ? undefined : JSON.stringify(body);
  return http.ask(`${isRuntime ? server.runtime : server.admin}${path}`, { method, headers, body: sent });
}

/** The same, of an operation that must succeed; the answer has its closed shape. */
async function ask<T = Body>(operation: string, method: string, path: string, body?: Body, plane: Plane = 'governance'): Promise<T> {
  const answer = await send(method, path, body);
  const json = answer.text === '' ? undefined : answer.json<T>();
  expectAnswer(operation, answer.status, json, plane);
  if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
  if (json !== undefined) expect(answer.headers['content-type']).toMatch(/^application\/json/);
  return json as T;
}

/** The first row of a list, which must have all of these fields. */
async function expectFirst(operation: string, path: string, list: string, fields: readonly string[], plane?: Plane): Promise<Body> {
  const answer = await ask<Record<string, readonly Body[]>>(operation, 'GET', path, undefined, plane);
  const [row] = answer[list] ?? [];
  expect([path, ...Object.keys(row ?? {})]).toEqual(expect.arrayContaining([...fields]));
  return row ?? {};
}

test('the login asks who holds the key, and a wrong one is told so in words that do not send it elsewhere', async () => {
  const identity = await ask('introspectAuth', 'GET', '/v1/auth/introspect');
  expect(identity).toMatchObject({ authenticated: true, auth_type: 'admin', permissions: ['*'] });
  const views = ['overview', 'budgets', 'events', 'webhooks', 'audit', 'tenants', 'api_keys', 'policies', 'reservations'];
  const changes = ['budgets', 'tenants', 'api_keys', 'webhooks', 'policies', 'reservations'];
  const capabilities = [...views.map((name) => `view_${name}`), ...changes.map((name) => `manage_${name}`)];
  expect(identity['capabilities']).toEqual(Object.fromEntries(capabilities.map((name) => [name, true])));
  for (const path of ['/v1/auth/introspect', '/v1/admin/tenants', '/v1/reservations?tenant=acme-corp']) {
    const origin = path.startsWith('/v1/reservations') ? server.runtime : server.admin;
    const { status, text } = await http.ask(`${origin}${path}`, { headers: { 'x-admin-api-key': 'wrong' } });
    expect([path, status]).toEqual([path, 401]);
    expect(text.toLowerCase()).not.toContain('cycles-api-key');
  }
});

test('a server without anything in it is shown, by lists that are empty and not missing', async () => {
  expect(await ask('listReservations', 'GET', '/v1/reservations?tenant=example-tenant&status=ACTIVE', undefined, 'runtime')).toMatchObject({
    reservations: [],
    has_more: false,
  });
  const webhooks = await ask('listTenantWebhooks', 'GET', '/v1/webhooks?tenant=example-tenant');
  expect(webhooks).toMatchObject({ subscriptions: [], has_more: false });
  const unknown = await send('GET', '/v1/nonexistent');
  expect(unknown.status).toBe(404);
  expect(unknown.json()).toHaveProperty('error');
});

test('tenants are made, listed, looked at and changed', async () => {
  const settings = {
    default_commit_overage_policy: 'ALLOW_IF_AVAILABLE',
    default_reservation_ttl_ms: 60_000,
    max_reservation_extensions: 10,
  };
  await ask('createTenant', 'POST', '/v1/admin/tenants', { tenant_id: TENANT, name: 'Acme', ...settings, metadata: { team: 'a' } });
  for (const id of ['to-close', 'to-suspend']) await ask('createTenant', 'POST', '/v1/admin/tenants', { tenant_id: id, name: id });
  await expectFirst('listTenants', '/v1/admin/tenants?limit=100', 'tenants', ['tenant_id', 'name', 'status', 'created_at']);
  await expectFirst('listTenants', '/v1/admin/tenants?search=acme&sort_by=name&sort_dir=asc&limit=50', 'tenants', ['tenant_id']);
  expect(await ask('getTenant', 'GET', `/v1/admin/tenants/${TENANT}`)).toMatchObject({ name: 'Acme', status: 'ACTIVE', ...settings });
  await ask('updateTenant', 'PATCH', `/v1/admin/tenants/${TENANT}`, { name: 'Acme again' });
  await ask('updateTenant', 'PATCH', '/v1/admin/tenants/to-suspend', { status: 'SUSPENDED' });
  await ask('updateTenant', 'PATCH', '/v1/admin/tenants/to-suspend', { status: 'ACTIVE' });
  const bulk = { filter: { search: 'to-' }, action: 'SUSPEND', expected_count: 2, idempotency_key: 'bulk-tenants' };
  expect(await ask('bulkActionTenants', 'POST', '/v1/admin/tenants/bulk-action', bulk)).toMatchObject({ total_matched: 2, failed: [] });
  expect(await ask('updateTenant', 'PATCH', '/v1/admin/tenants/to-close', { status: 'CLOSED' })).toMatchObject({ status: 'CLOSED' });
  // Again, as the page does where a close was broken off.
  await ask('updateTenant', 'PATCH', '/v1/admin/tenants/to-close', { status: 'CLOSED' });
});

test('budgets are made, listed, looked up, funded, frozen and changed', async () => {
  const path = '/v1/admin/budgets';
  const made = { tenant_id: TENANT, scope: SCOPE, unit: UNIT, allocated: amount(1000), overdraft_limit: amount(50) };
  await ask('createBudget', 'POST', path, { ...made, commit_overage_policy: 'ALLOW_WITH_OVERDRAFT', rollover_policy: 'NONE' });
  await ask('createBudget', 'POST', path, { tenant_id: TENANT, scope: `${SCOPE}/app:cold`, unit: UNIT, allocated: amount(10) });
  await ask('freezeBudget', 'POST', `${path}/freeze?scope=${encodeURIComponent(`${SCOPE}/app:cold`)}&unit=${UNIT}`, {
    reason: 'Look at it.',
  });
  const fields = ['ledger_id', 'tenant_id', 'scope', 'unit', 'allocated', 'remaining', 'status', 'created_at'];
  await expectFirst('listBudgets', `${path}?tenant_id=${TENANT}&limit=100`, 'ledgers', [...fields, 'spent', 'reserved']);
  const sorted = 'sort_by=utilization&sort_dir=desc&unit=USD_MICROCENTS&search=acme&limit=100';
  await expectFirst('listBudgets', `${path}?${sorted}`, 'ledgers', fields);
  expect(await ask('lookupBudget', 'GET', `${path}/lookup?${BUDGET}`)).toMatchObject({
    scope: SCOPE,
    allocated: amount(1000),
    remaining: amount(1000),
    overdraft_limit: amount(50),
    commit_overage_policy: 'ALLOW_WITH_OVERDRAFT',
  });
  for (const operation of ['CREDIT', 'DEBIT', 'RESET', 'REPAY_DEBT', 'RESET_SPENT']) {
    const body = { operation, amount: amount(operation.startsWith('RESET') ? 1000 : 1), reason: 'By hand.', idempotency_key: operation };
    await ask('fundBudget', 'POST', `${path}/fund?tenant_id=${TENANT}&${BUDGET}`, body);
  }
  await ask('freezeBudget', 'POST', `${path}/freeze?${BUDGET}`, { reason: 'Look at it.' });
  await ask('unfreezeBudget', 'POST', `${path}/unfreeze?${BUDGET}`);
  await ask('updateBudget', 'PATCH', `${path}?${BUDGET}`, { overdraft_limit: amount(100), commit_overage_policy: 'REJECT' });
  const filter = { tenant_id: TENANT, status: 'ACTIVE' };
  const bulk = { filter, action: 'CREDIT', amount: amount(1), expected_count: 1, idempotency_key: 'bulk-budgets' };
  expect(await ask('bulkActionBudgets', 'POST', `${path}/bulk-action`, bulk)).toMatchObject({ total_matched: 1, failed: [] });
});

test('keys are made, listed, changed and revoked, by a DELETE that says JSON and has no body', async () => {
  const path = '/v1/admin/api-keys';
  const body = { tenant_id: TENANT, name: 'of the page', permissions: ['reservations:create', 'reservations:list', 'balances:read'] };
  const made = await ask('createApiKey', 'POST', path, { ...body, scope_filter: [], expires_at: '2999-01-01T00:00:00Z' });
  keySecret = String(made['key_secret']);
  expect(keySecret.startsWith(String(made['key_prefix']))).toBe(true);
  const fields = ['key_id', 'tenant_id', 'status', 'permissions', 'created_at', 'expires_at'];
  await expectFirst('listApiKeys', `${path}?tenant_id=${TENANT}&limit=100`, 'keys', fields);
  await expectFirst('listApiKeys', `${path}?status=ACTIVE&sort_by=expires_at&sort_dir=asc&limit=100`, 'keys', fields);
  await ask('updateApiKey', 'PATCH', `${path}/${String(made['key_id'])}`, { name: 'renamed', permissions: body.permissions });
  const second = await ask('createApiKey', 'POST', path, { tenant_id: TENANT, name: 'to revoke' });
  const reason = encodeURIComponent('Revoked by hand.');
  expect(await ask('revokeApiKey', 'DELETE', `${path}/${String(second['key_id'])}?reason=${reason}`)).toMatchObject({ status: 'REVOKED' });
});

test('policies are made, listed and changed', async () => {
  const path = '/v1/admin/policies';
  const rules = { caps: { max_tokens: 100, tool_denylist: ['shell'] }, rate_limits: { max_reservations_per_minute: 1000 } };
  const made = await ask('createPolicy', 'POST', path, {
    tenant_id: TENANT,
    name: 'p',
    scope_pattern: `${SCOPE}/*`,
    priority: 5,
    ...rules,
  });
  const fields = ['policy_id', 'name', 'scope_pattern', 'status', 'priority', 'created_at'];
  await expectFirst('listPolicies', `${path}?tenant_id=${TENANT}&limit=100`, 'policies', fields);
  const changed = await ask('updatePolicy', 'PATCH', `${path}/${String(made['policy_id'])}`, { status: 'DISABLED', priority: 6 });
  expect(changed).toMatchObject({ status: 'DISABLED', priority: 6 });
});

test('reservations are listed, looked at and released with the operator’s key', async () => {
  const headers = { 'x-cycles-api-key': keySecret };
  for (const key of ['a', 'b']) {
    const body = {
      idempotency_key: key,
      subject: { tenant: TENANT },
      action: { kind: 'llm.completion', name: 'x' },
      estimate: amount(10),
      ttl_ms: 600_000,
    };
    const held = await http.ask(`${server.runtime}/v1/reservations`, { method: 'POST', headers, body });
    expect(held).toMatchObject({ status: 200 });
  }
  const path = '/v1/reservations';
  const fields = ['reservation_id', 'status', 'scope_path', 'reserved', 'created_at_ms', 'expires_at_ms'];
  const query = `tenant=${TENANT}&status=ACTIVE&limit=100&sort_by=created_at_ms&sort_dir=desc`;
  const row = await expectFirst('listReservations', `${path}?${query}`, 'reservations', fields, 'runtime');
  const id = String(row['reservation_id']);
  expect(await ask('getReservation', 'GET', `${path}/${id}`, undefined, 'runtime')).toMatchObject({ reserved: amount(10) });
  const body = { idempotency_key: 'force', reason: 'Held for too long.' };
  expect(await ask('releaseReservation', 'POST', `${path}/${id}/release`, body, 'runtime')).toMatchObject({ status: 'RELEASED' });
  const first = await ask<{ next_cursor?: string }>('listReservations', 'GET', `${path}?tenant=${TENANT}&limit=1`, undefined, 'runtime');
  const next = `${path}?tenant=${TENANT}&limit=1&cursor=${encodeURIComponent(String(first.next_cursor))}`;
  expect(await ask('listReservations', 'GET', next, undefined, 'runtime')).toMatchObject({ has_more: false });
});

test('webhooks are made, listed, tested, paused, given a new secret, replayed and deleted', async () => {
  const path = '/v1/admin/webhooks';
  const config = '/v1/admin/config/webhook-security';
  const shown = await ask('getWebhookSecurityConfig', 'GET', config);
  expect(Object.keys(shown).toSorted()).toEqual(expect.arrayContaining(['allow_http', 'allowed_url_patterns', 'blocked_cidr_ranges']));
  // All three fields as they were shown, with one changed.
  const { blocked_cidr_ranges: ranges, allowed_url_patterns: patterns } = shown;
  await ask('updateWebhookSecurityConfig', 'PUT', config, {
    blocked_cidr_ranges: ranges,
    allowed_url_patterns: patterns,
    allow_http: true,
  });

  const subscription = { url: 'https://hooks.invalid/in', event_types: ['budget.funded'], name: 'of the page', disable_after_failures: 10 };
  const made = await ask<{ subscription: Body; signing_secret: string }>(
    'createWebhookSubscription',
    'POST',
    `${path}?tenant_id=${TENANT}`,
    subscription,
  );
  expect(made.signing_secret).toMatch(/^whsec_/);
  const id = String(made.subscription['subscription_id']);
  const fields = ['subscription_id', 'tenant_id', 'url', 'event_types', 'status', 'created_at', 'consecutive_failures'];
  await expectFirst('listWebhookSubscriptions', `${path}?limit=200`, 'subscriptions', fields);
  expect(await ask('getWebhookSubscription', 'GET', `${path}/${id}`)).toMatchObject({ subscription_id: id });
  expect(await ask('testWebhookSubscription', 'POST', `${path}/${id}/test`)).toMatchObject({ success: false });
  expect(await ask('updateWebhookSubscription', 'PATCH', `${path}/${id}`, { status: 'PAUSED' })).toMatchObject({ status: 'PAUSED' });
  await ask('updateWebhookSubscription', 'PATCH', `${path}/${id}`, { status: 'ACTIVE' });
  await ask('updateWebhookSubscription', 'PATCH', `${path}/${id}`, { signing_secret: `whsec_${'0123456789abcdef'.repeat(4)}` });
  // A clearing of one selector by the form, which sends both.
  await ask('updateWebhookSubscription', 'PATCH', `${path}/${id}`, { event_types: ['budget.funded'], event_categories: [] });
  const replay = { from: '2020-01-01T00:00:00Z', to: '2999-01-01T00:00:00Z', max_events: 100 };
  const { events_queued: queued, replay_id: replayId } = await ask('replayEvents', 'POST', `${path}/${id}/replay`, replay);
  expect([typeof replayId, queued]).toEqual(['string', expect.any(Number)]);
  expect(queued).toBeGreaterThan(0);
  const deliveries = `${path}/${id}/deliveries?limit=50`;
  await expectFirst('listWebhookDeliveries', deliveries, 'deliveries', ['delivery_id', 'event_id', 'status', 'attempts']);
  const bulk = { filter: { search: 'hooks.invalid' }, action: 'PAUSE', expected_count: 1, idempotency_key: 'bulk-hooks' };
  expect(await ask('bulkActionWebhooks', 'POST', `${path}/bulk-action`, bulk)).toMatchObject({ total_matched: 1, failed: [] });
  await expectFirst('listTenantWebhooks', `/v1/webhooks?tenant=${TENANT}`, 'subscriptions', ['subscription_id']);
  expect(await ask('deleteWebhookSubscription', 'DELETE', `${path}/${id}`)).toBeUndefined();
});

test('events and the trail are listed by what their pages filter', async () => {
  const fields = ['event_id', 'event_type', 'category', 'timestamp', 'tenant_id', 'source'];
  const scope = encodeURIComponent(SCOPE);
  const funded = 'event_type=budget.funded&category=budget';
  for (const query of [
    'limit=50',
    `scope=${scope}&limit=20`,
    `tenant_id=${TENANT}&${funded}&from=2020-01-01T00:00:00.000Z&search=budget`,
  ]) {
    await expectFirst('listEvents', `/v1/admin/events?${query}`, 'events', fields);
  }
  const event = await expectFirst('listEvents', '/v1/admin/events?sort_by=timestamp&sort_dir=desc&limit=1', 'events', fields);
  for (const name of ['correlation_id', 'trace_id', 'request_id']) {
    const value = event[name];
    if (typeof value === 'string')
      await expectFirst('listEvents', `/v1/admin/events?${name}=${encodeURIComponent(value)}`, 'events', fields);
  }
  const logs = '/v1/admin/audit/logs';
  for (const query of [
    'limit=10',
    `tenant_id=${TENANT}&limit=50`,
    'operation=fundBudget',
    'resource_type=budget',
    'status_min=200&status_max=299',
  ]) {
    await expectFirst('listAuditLogs', `${logs}?${query}`, 'logs', ['log_id', 'timestamp', 'operation', 'status']);
  }
  const failures = 'status_min=400&status_max=599&error_code_exclude=NOT_FOUND,FORBIDDEN&from=2020-01-01T00:00:00Z';
  await ask('listAuditLogs', 'GET', `${logs}?${failures}`);
});

describe('the overview', () => {
  test('asks eight things at once, with limits beyond a page', async () => {
    const asked: readonly (readonly [string, string])[] = [
      ['getAdminOverview', '/v1/admin/overview'],
      ['listApiKeys', '/v1/admin/api-keys'],
      ['listAuditLogs', '/v1/admin/audit/logs?limit=10'],
      ['listBudgets', '/v1/admin/budgets?utilization_min=0.9&limit=2000'],
      ['listBudgets', '/v1/admin/budgets?status=FROZEN&limit=10'],
      ['listTenants', '/v1/admin/tenants?status=CLOSED&limit=1000'],
      ['listBudgets', '/v1/admin/budgets?has_debt=true&limit=10'],
      ['listWebhookSubscriptions', '/v1/admin/webhooks?limit=200'],
    ];
    const [overview, , , , frozen, closed] = await Promise.all(asked.map(([operation, path]) => ask(operation, 'GET', path)));
    expect(overview).toMatchObject({ tenant_counts: { closed: 1, suspended: 1 }, budget_counts: { frozen: 1 } });
    expect(frozen).toMatchObject({ ledgers: [{ scope: `${SCOPE}/app:cold`, status: 'FROZEN' }] });
    expect(closed).toMatchObject({ tenants: [{ tenant_id: 'to-close' }] });
  });
});

test('what is not there, not allowed or not understood is told as an error that the page reads', async () => {
  for (const [operation, method, path, body, status, code] of [
    ['getTenant', 'GET', '/v1/admin/tenants/nobody', undefined, 404, 'TENANT_NOT_FOUND'],
    ['createTenant', 'POST', '/v1/admin/tenants', { tenant_id: TENANT, name: 'Other' }, 409, 'DUPLICATE_RESOURCE'],
    ['updateTenant', 'PATCH', '/v1/admin/tenants/to-close', { name: 'Open' }, 409, 'TENANT_CLOSED'],
    ['createBudget', 'POST', '/v1/admin/budgets', { unit: UNIT }, 400, 'INVALID_REQUEST'],
  ] as const) {
    const answer = await send(method, path, body);
    expectAnswer(operation, answer.status, answer.json(), 'governance');
    expect(answer.status).toBe(status);
    const { error, message, request_id: requestId } = answer.json<{ error: string; message: string; request_id: string }>();
    expect([error, message.length > 0, requestId]).toEqual([code, true, answer.headers['x-request-id']]);
  }
});

test('a page that nobody declared is refused, also where it has the key', async () => {
  const { operator_key: key } = server.credentials();
  const path = `${server.admin}/v1/admin/tenants`;
  const headers = { 'x-admin-api-key': key, origin: 'http://localhost:8081' };
  const answer = await http.ask(path, { method: 'POST', headers, body: { tenant_id: 'from-elsewhere', name: 'x' } });
  expect(answer.status).toBe(403);
  expectAnswer('createTenant', 403, answer.json(), 'governance');
  expect((await send('GET', '/v1/admin/tenants/from-elsewhere')).status).toBe(404);
});

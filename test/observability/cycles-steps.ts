import { expect } from 'vitest';
import { askRuntime } from './cycles-runtime-steps.ts';

/** One request; `key` is the route's pattern, which the path fills in. */
export type Step = readonly [key: string, path: string, status: number, body?: unknown, headers?: Readonly<Record<string, string>>];

/** Sends the request of a step, checks its answer against the document, and returns the body. */
export type Ask = (...step: Step) => Promise<Record<string, unknown>>;

const TENANT = 'doc-cycles';
const PERMISSIONS = [
  'budgets:read',
  'budgets:write',
  'policies:read',
  'policies:write',
  'balances:read',
  'events:create',
  'reservations:create',
  'reservations:commit',
  'reservations:release',
  'reservations:extend',
  'reservations:list',
  'webhooks:read',
  'webhooks:write',
  'events:read',
];
const SCOPE = `tenant:${TENANT}`;
const BUDGET = `scope=${SCOPE}&unit=TOKENS`;
const tokens = (amount: number): object => ({ unit: 'TOKENS', amount });

/** Tenants, and what is done to many of them. */
async function askTenants(ask: Ask): Promise<void> {
  const path = '/v1/admin/tenants';
  await ask(`POST ${path}`, path, 201, { tenant_id: TENANT, name: 'Doc', metadata: { a: 'b' } });
  await ask(`POST ${path}`, path, 200, { tenant_id: TENANT, name: 'Doc' });
  await ask(`POST ${path}`, path, 409, { tenant_id: TENANT, name: 'Other' });
  await ask(`POST ${path}`, path, 400, { tenant_id: TENANT, dragons: 1 });
  await ask(`GET ${path}`, `${path}?limit=1`, 200);
  await ask(`GET ${path}/:tenant_id`, `${path}/${TENANT}`, 200);
  await ask(`GET ${path}/:tenant_id`, `${path}/nobody`, 404);
  await ask(`PATCH ${path}/:tenant_id`, `${path}/${TENANT}`, 200, { name: 'Doc again' });
}

/** Keys of a tenant; gives the headers of one that may do everything, and the id of another one. */
async function askKeys(ask: Ask): Promise<{ readonly headers: Readonly<Record<string, string>>; readonly keyId: string }> {
  const path = '/v1/admin/api-keys';
  const { key_secret: secret } = await ask(`POST ${path}`, path, 201, {
    tenant_id: TENANT,
    name: 'all',
    permissions: PERMISSIONS,
  });
  const { key_id: keyId } = await ask(`POST ${path}`, path, 201, {
    tenant_id: TENANT,
    name: 'some',
    scope_filter: [`${SCOPE}/app:bot`],
    expires_at: '2999-01-01T00:00:00Z',
  });
  await ask(`POST ${path}`, path, 400, { tenant_id: 'nobody', name: 'none' });
  await ask(`GET ${path}`, `${path}?tenant_id=${TENANT}`, 200);
  await ask(`PATCH ${path}/:key_id`, `${path}/${String(keyId)}`, 200, { description: 'Some.', permissions: ['balances:read'] });
  await ask('POST /v1/auth/validate', '/v1/auth/validate', 200, { key_secret: secret });
  await ask('POST /v1/auth/validate', '/v1/auth/validate', 200, { key_secret: 'cyc_live_nobody' });
  const headers = { 'x-cycles-api-key': String(secret) };
  await ask('GET /v1/auth/introspect', '/v1/auth/introspect', 200);
  await ask('GET /v1/auth/introspect', '/v1/auth/introspect', 200, undefined, headers);
  await ask('GET /v1/auth/introspect', '/v1/auth/introspect', 401, undefined, {});
  return { headers, keyId: String(keyId) };
}

/** Budgets, and what they have. */
async function askBudgets(ask: Ask, headers: Readonly<Record<string, string>>): Promise<void> {
  const path = '/v1/admin/budgets';
  await ask(`POST ${path}`, path, 201, { tenant_id: TENANT, scope: SCOPE, unit: 'TOKENS', allocated: tokens(1000), metadata: { a: 1 } });
  await ask(`POST ${path}`, path, 201, { scope: `${SCOPE}/app:bot`, unit: 'TOKENS', allocated: 5, overdraft_limit: 5 }, headers);
  await ask(`POST ${path}`, path, 409, { tenant_id: TENANT, scope: SCOPE, unit: 'TOKENS', allocated: 1 });
  await ask(`GET ${path}`, `${path}?tenant_id=${TENANT}&limit=1`, 200);
  await ask(`GET ${path}/lookup`, `${path}/lookup?${BUDGET}`, 200, undefined, headers);
  await ask(`GET ${path}/lookup`, `${path}/lookup?scope=tenant:nobody&unit=TOKENS`, 404);
  await ask(`PATCH ${path}`, `${path}?${BUDGET}`, 200, { commit_overage_policy: 'REJECT' });
  await ask(`POST ${path}/fund`, `${path}/fund?${BUDGET}`, 200, { operation: 'CREDIT', amount: tokens(5), idempotency_key: 'f' });
  await ask(`POST ${path}/freeze`, `${path}/freeze?${BUDGET}`, 200, { reason: 'Wait.' });
  await ask(`POST ${path}/fund`, `${path}/fund?${BUDGET}`, 409, { operation: 'CREDIT', amount: 5 });
  await ask(`POST ${path}/unfreeze`, `${path}/unfreeze?${BUDGET}`, 200);
  await ask(`POST ${path}/bulk-action`, `${path}/bulk-action`, 200, {
    filter: { tenant_id: TENANT },
    action: 'CREDIT',
    amount: tokens(1),
    idempotency_key: 'b',
  });
  await ask('GET /v1/balances', '/v1/balances?unit=TOKENS&limit=1', 200, undefined, headers);
  const close = '/v1/x-castellan/budgets/close';
  await ask(`POST ${close}`, `${close}?scope=${SCOPE}/app:bot&unit=TOKENS`, 200, { reason: 'Done.' });
}

/** Policies. */
async function askPolicies(ask: Ask, headers: Readonly<Record<string, string>>): Promise<void> {
  const path = '/v1/admin/policies';
  const own = '/v1/x-castellan/policies';
  const { policy_id: id } = await ask(`POST ${path}`, path, 201, {
    tenant_id: TENANT,
    name: 'All',
    scope_pattern: `${SCOPE}/*`,
    priority: 1,
    caps: { max_tokens: 10, tool_allowlist: ['a'] },
    rate_limits: { max_reservations_per_minute: 1000 },
    reservation_ttl_override: { max_ttl_ms: 60_000 },
    effective_until: '2999-01-01T00:00:00Z',
  });
  await ask(`GET ${path}`, path, 200, undefined, headers);
  await ask(`PATCH ${path}/:policy_id`, `${path}/${String(id)}`, 200, { description: 'All of it.' }, headers);
  await ask(`GET ${own}/:policy_id`, `${own}/${String(id)}`, 200);
  await ask(`DELETE ${own}/:policy_id`, `${own}/${String(id)}`, 200);
  await ask(`GET ${own}/:policy_id`, `${own}/${String(id)}`, 404);
}

/** The trail of what was done, by both of its names. */
async function askTrail(ask: Ask): Promise<void> {
  const [path, name] = ['/v1/admin/audit/logs', '/v1/admin/audit-logs'];
  const { logs } = await ask(`GET ${path}`, `${path}?tenant_id=${TENANT}`, 200);
  expect(logs).not.toHaveLength(0);
  await ask(`GET ${path}`, `${path}?operation=fundBudget&limit=1`, 200);
  await ask(`GET ${path}`, `${path}?from=yesterday`, 400);
  await ask(`GET ${name}`, `${name}?tenant_id=${TENANT}`, 200);
  await ask('GET /v1/admin/overview', '/v1/admin/overview', 200);
}

/** Nobody listens there, which is found out at once. */
const HOOK = { url: 'https://127.0.0.1:1/castellan', event_types: ['budget.created'], headers: { 'x-team': 'doc' }, metadata: { a: 1 } };

/** Subscriptions, as the operator has them. */
async function askWebhooks(ask: Ask): Promise<void> {
  const path = '/v1/admin/webhooks';
  const config = '/v1/admin/config/webhook-security';
  await ask(`GET ${config}`, config, 200);
  await ask(`PUT ${config}`, config, 200, { blocked_cidr_ranges: ['10.0.0.0/8'], allow_http: true });
  await ask(`PUT ${config}`, config, 400, { blocked_cidr_ranges: ['dragons'] });
  const { subscription } = await ask(`POST ${path}`, path, 201, { ...HOOK, retry_policy: { max_retries: 0 }, thresholds: {} });
  await ask(`POST ${path}`, `${path}?tenant_id=nobody`, 404, HOOK);
  await ask(`POST ${path}`, path, 400, { ...HOOK, url: 'https://10.0.0.1/' });
  const id = String((subscription as { subscription_id: string }).subscription_id);
  const one = `${path}/:subscription_id`;
  await ask(`GET ${path}`, `${path}?limit=1&sort_by=url`, 200);
  await ask(`GET ${one}`, `${path}/${id}`, 200);
  await ask(`GET ${one}`, `${path}/nobody`, 404);
  await ask(`PATCH ${one}`, `${path}/${id}`, 200, { event_categories: ['webhook'], name: 'Doc' });
  await ask(`POST ${one}/test`, `${path}/${id}/test`, 200);
  await ask(`POST ${one}/replay`, `${path}/${id}/replay`, 202, { event_types: ['webhook.updated'], max_events: 5 });
  await ask(`GET ${one}/deliveries`, `${path}/${id}/deliveries?limit=1`, 200);
  const bulk = { filter: { search: id }, action: 'PAUSE', idempotency_key: 'w' };
  await ask(`POST ${path}/bulk-action`, `${path}/bulk-action`, 200, bulk);
  await ask(`DELETE ${one}`, `${path}/${id}`, 204);
}

/** Subscriptions, as a tenant has them. */
async function askOwnWebhooks(ask: Ask, headers: Readonly<Record<string, string>>): Promise<void> {
  const path = '/v1/webhooks';
  const { subscription } = await ask(`POST ${path}`, path, 201, HOOK, headers);
  const id = String((subscription as { subscription_id: string }).subscription_id);
  const one = `${path}/:subscription_id`;
  await ask(`GET ${path}`, path, 200, undefined, headers);
  await ask(`GET ${path}`, `${path}?status=GONE`, 400, undefined, headers);
  await ask(`GET ${one}`, `${path}/${id}`, 200, undefined, headers);
  await ask(`PATCH ${one}`, `${path}/${id}`, 200, { status: 'PAUSED' }, headers);
  await ask(`PATCH ${one}`, `${path}/${id}`, 400, { event_categories: ['policy'] }, headers);
  await ask(`POST ${one}/test`, `${path}/${id}/test`, 200, undefined, headers);
  await ask(`GET ${one}/deliveries`, `${path}/${id}/deliveries`, 200, undefined, headers);
  await ask(`DELETE ${one}`, `${path}/${id}`, 204, undefined, headers);
}

/** Events, as the operator and a tenant see them. */
async function askEvents(ask: Ask, headers: Readonly<Record<string, string>>): Promise<void> {
  const path = '/v1/admin/events';
  const { events } = await ask(`GET ${path}`, `${path}?tenant_id=${TENANT}&limit=100`, 200);
  const [event] = events as readonly { readonly event_id: string }[];
  await ask(`GET ${path}/:event_id`, `${path}/${event?.event_id}`, 200);
  await ask(`GET ${path}/:event_id`, `${path}/nobody`, 404);
  await ask('GET /v1/events', '/v1/events?category=budget', 200, undefined, headers);
  await ask('GET /v1/events', '/v1/events?category=dragons', 400, undefined, headers);
}

/** What ends a key and a tenant. */
async function askEnds(ask: Ask, keyId: string): Promise<void> {
  const keys = '/v1/admin/api-keys';
  await ask(`DELETE ${keys}/:key_id`, `${keys}/${keyId}?reason=done`, 200);
  await ask(`DELETE ${keys}/:key_id`, `${keys}/${keyId}`, 409);
  const tenants = '/v1/admin/tenants';
  const bulk = { filter: { search: TENANT }, action: 'SUSPEND', idempotency_key: 's' };
  await ask(`POST ${tenants}/bulk-action`, `${tenants}/bulk-action`, 200, bulk);
  await ask(`PATCH ${tenants}/:tenant_id`, `${tenants}/${TENANT}`, 200, { status: 'CLOSED' });
  await ask(`PATCH ${tenants}/:tenant_id`, `${tenants}/${TENANT}`, 409, { name: 'Open' });
}

/** A tenant of the governance plane, from its first day to its last. */
export async function askGovernance(ask: Ask): Promise<void> {
  await askTenants(ask);
  const { headers, keyId } = await askKeys(ask);
  await askBudgets(ask, headers);
  await askPolicies(ask, headers);
  await askRuntime(ask, TENANT, headers);
  await askWebhooks(ask);
  await askOwnWebhooks(ask, headers);
  await askEvents(ask, headers);
  await askEnds(ask, keyId);
  await askTrail(ask);
  await ask('GET /v1/x-castellan/events', `/v1/x-castellan/events?tenant_id=${TENANT}&limit=1000`, 200);
}

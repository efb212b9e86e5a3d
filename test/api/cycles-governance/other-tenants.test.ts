import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { GovernanceClient, Governed } from '../../support/governance-client.ts';
import { makeHooks, URL_OUTSIDE, type Hooks } from './webhook-harness.ts';

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';

const TOKENS = { unit: 'TOKENS', amount: 1 };
const PERMISSIONS = [
  'budgets:read',
  'budgets:write',
  'policies:read',
  'policies:write',
  'webhooks:read',
  'webhooks:write',
  'balances:read',
];

let hooks: Hooks;
/** A tenant that looks for what belongs to another one. */
let acme: GovernanceClient;
let theirs: Readonly<Record<'policy' | 'webhook', string>>;

beforeAll(async () => {
  hooks = await makeHooks();
  acme = await hooks.keyOf('acme', { permissions: [...PERMISSIONS, 'events:read'] });
  const budget = { tenant_id: 'other', scope: 'tenant:other/app:theirs', unit: 'TOKENS', allocated: TOKENS };
  await hooks.operator.ask('createBudget', 'POST', '/v1/admin/budgets', budget);
  const policy = { tenant_id: 'other', name: 'theirs', scope_pattern: 'tenant:other/*' };
  const { body } = await hooks.operator.ask('createPolicy', 'POST', '/v1/admin/policies', policy);
  theirs = { policy: String(body['policy_id']), webhook: (await hooks.subscribe({ name: 'theirs' }, 'other')).id };
});
afterAll(() => hooks.close());

/** What an answer tells, with the names that the request gave taken out of it. */
const toldBy = ({ status, body }: Governed, names: readonly string[]): string => {
  const { request_id: _request, trace_id: _trace, ...rest } = body ?? {};
  return names.reduce((text, name) => text.replaceAll(name, 'NAME'), JSON.stringify([status, rest]));
};

/** Everything that could tell that something changed. */
const changes = (): Promise<unknown> =>
  hooks.raw('SELECT (SELECT count(*) FROM events) AS events, (SELECT count(*) FROM ledger_entries) AS entries');

/** What a key does to a thing by its name: once that of another tenant, once what nobody has. */
const BY_NAME: [string, Method, (name: string) => string, 'policy' | 'webhook' | 'scope', object?][] = [
  ['lookupBudget', 'GET', (scope) => `/v1/admin/budgets/lookup?scope=${scope}&unit=TOKENS`, 'scope'],
  [
    'fundBudget',
    'POST',
    (scope) => `/v1/admin/budgets/fund?scope=${scope}&unit=TOKENS`,
    'scope',
    { operation: 'CREDIT', amount: TOKENS, idempotency_key: 'f' },
  ],
  ['updatePolicy', 'PATCH', (id) => `/v1/admin/policies/${id}`, 'policy', { priority: 9 }],
  ['getTenantWebhook', 'GET', (id) => `/v1/webhooks/${id}`, 'webhook'],
  ['updateTenantWebhook', 'PATCH', (id) => `/v1/webhooks/${id}`, 'webhook', { status: 'PAUSED' }],
  ['testTenantWebhook', 'POST', (id) => `/v1/webhooks/${id}/test`, 'webhook'],
  ['listTenantWebhookDeliveries', 'GET', (id) => `/v1/webhooks/${id}/deliveries`, 'webhook'],
  ['deleteTenantWebhook', 'DELETE', (id) => `/v1/webhooks/${id}`, 'webhook'],
];

describe('what belongs to another tenant', () => {
  test.each(BY_NAME)('%s is told nothing that it would not be told of what nobody has', async (operation, method, urlOf, kind, body) => {
    const [foreign, missing] = kind === 'scope' ? ['tenant:other/app:theirs', 'tenant:other/app:nobody'] : [theirs[kind], 'nobody'];
    const before = await changes();
    const answers = [await acme.ask(operation, method, urlOf(foreign), body), await acme.ask(operation, method, urlOf(missing), body)];
    for (const { status } of answers) expect([403, 404]).toContain(status);
    expect(toldBy(answers[0] as Governed, [foreign])).toBe(toldBy(answers[1] as Governed, [missing]));
    expect(await changes()).toEqual(before);
  });

  test.each<[string, Method, (tenant: string) => string, ((tenant: string) => object)?]>([
    ['listBudgets', 'GET', (tenant) => `/v1/admin/budgets?tenant_id=${tenant}`],
    ['listBudgets', 'GET', (tenant) => `/v1/admin/budgets?scope_prefix=tenant:${tenant}`],
    ['listPolicies', 'GET', (tenant) => `/v1/admin/policies?tenant_id=${tenant}`],
    ['listTenantWebhooks', 'GET', (tenant) => `/v1/webhooks?tenant=${tenant}`],
    ['getBalances', 'GET', (tenant) => `/v1/balances?scope_prefix=tenant:${tenant}`],
    ['listTenantEvents', 'GET', (tenant) => `/v1/events?scope=tenant:${tenant}`],
    [
      'createBudget',
      'POST',
      () => '/v1/admin/budgets',
      (tenant) => ({ scope: `tenant:${tenant}/app:new`, unit: 'TOKENS', allocated: TOKENS }),
    ],
    [
      'createBudget',
      'POST',
      () => '/v1/admin/budgets',
      (tenant) => ({ tenant_id: tenant, scope: `tenant:${tenant}`, unit: 'TOKENS', allocated: TOKENS }),
    ],
    ['createPolicy', 'POST', () => '/v1/admin/policies', (tenant) => ({ name: 'new', scope_pattern: `tenant:${tenant}/*` })],
    [
      'fundBudget',
      'POST',
      (tenant) => `/v1/admin/budgets/fund?tenant_id=${tenant}&scope=tenant:${tenant}&unit=TOKENS`,
      () => ({ operation: 'DEBIT', amount: TOKENS, idempotency_key: 'g' }),
    ],
  ])('%s does not tell whether there is such a tenant: %s', async (operation, method, urlOf, bodyOf) => {
    const before = await changes();
    const answers = await Promise.all(
      ['other', 'never-made'].map((tenant) => acme.ask(operation, method, urlOf(tenant), bodyOf?.(tenant))),
    );
    expect(toldBy(answers[0] as Governed, ['other'])).toBe(toldBy(answers[1] as Governed, ['never-made']));
    expect(JSON.stringify(answers.map(({ body }) => body))).not.toContain('theirs');
    if (method === 'POST') expect((answers[0] as Governed).status).toBeGreaterThanOrEqual(400);
    expect(await changes()).toEqual(before);
  });

  test('a subscription that a key makes gets no event of another tenant, whatever it asks for', async () => {
    const body = { url: URL_OUTSIDE, event_types: ['budget.created'], scope_filter: 'tenant:other/*' };
    const made = await acme.ask<{ subscription: { tenant_id: string } }>('createTenantWebhook', 'POST', '/v1/webhooks', body);
    expect([made.status, made.body.subscription.tenant_id]).toEqual([201, 'acme']);
    expect((await hooks.show(theirs.webhook))['tenant_id']).toBe('other');
  });
});

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectAnswer } from '../support/cycles-answers.ts';
import { makeHttpClient, type Answer, type HttpClient } from '../support/http-client.ts';
import { describePostgres, startPostgresCluster, type PostgresCluster } from '../support/postgres-cluster.ts';
import { startServer, type TestServer } from '../support/server-process.ts';
import type { TestStore } from '../support/store-reader.ts';

/** What the admin guide sends along with every request. */
const ADMIN = { 'x-admin-api-key': 'admin-bootstrap-key' };
const JSON_BODY = { ...ADMIN, 'content-type': 'application/json' };

const GUIDE_PERMISSIONS = [
  'reservations:create',
  'reservations:commit',
  'reservations:release',
  'reservations:extend',
  'reservations:list',
  'balances:read',
  'events:create',
];

/** A number of the guide, where the published form has `{unit, amount}`. */
const microcents = (amount: number) => ({ unit: 'USD_MICROCENTS', amount });

/**
 * The requests of the admin guide for administrators, in its order, as they are written there: whole numbers for amounts, `status` on a
 * new tenant, `overage_policy`, `events:create`, `audit-logs`, and a funding whose address a shell would cut at its `&`.
 */
function testGuide(makeStore: () => Promise<TestStore>): void {
  let server: TestServer;
  let http: HttpClient;
  let keyId: string;
  let keySecret: string;
  let policyId: string;

  beforeAll(async () => {
    server = await startServer({ store: await makeStore(), env: { ADMIN_API_KEY: 'admin-bootstrap-key' } });
    http = makeHttpClient();
  });
  afterAll(async () => {
    await http.close();
    await server.dispose();
  });

  const ask = async (
    operation: string,
    method: string,
    path: string,
    body?: string,
  ): Promise<Answer & { readonly body: Record<string, unknown> }> => {
    const answer = await http.ask(`${server.admin}${path}`, { method, headers: body === undefined ? ADMIN : JSON_BODY, body });
    expectAnswer(operation, answer.status, answer.json(), 'governance');
    return { ...answer, body: answer.json() };
  };

  test('a tenant is created', async () => {
    const { status, body } = await ask(
      'createTenant',
      'POST',
      '/v1/admin/tenants',
      `{
"tenant_id": "acme-corp",
"name": "Acme Corporation",
"status": "ACTIVE"
}`,
    );
    expect(status).toBe(201);
    expect(body).toMatchObject({ tenant_id: 'acme-corp', name: 'Acme Corporation', status: 'ACTIVE' });
  });

  test('its configuration is updated', async () => {
    const { status, body } = await ask(
      'updateTenant',
      'PATCH',
      '/v1/admin/tenants/acme-corp',
      `{
"default_reservation_ttl_ms": 60000,
"max_reservation_ttl_ms": 300000,
"max_reservation_extensions": 10,
"default_commit_overage_policy": "ALLOW_IF_AVAILABLE"
}`,
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({ max_reservation_ttl_ms: 300_000, default_commit_overage_policy: 'ALLOW_IF_AVAILABLE' });
  });

  test('it is suspended; what the guide does later is for an active one', async () => {
    const { status, body } = await ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme-corp', '{"status": "SUSPENDED"}');
    expect([status, body['status']]).toEqual([200, 'SUSPENDED']);
    const refused = await ask('createApiKey', 'POST', '/v1/admin/api-keys', '{"tenant_id": "acme-corp", "name": "too late"}');
    expect([refused.status, refused.body['error']]).toEqual([400, 'TENANT_SUSPENDED']);
    const { body: active } = await ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme-corp', '{"status": "ACTIVE"}');
    expect(active['status']).toBe('ACTIVE');
  });

  test('a key is created, and its secret told once', async () => {
    const { status, body } = await ask(
      'createApiKey',
      'POST',
      '/v1/admin/api-keys',
      `{
"tenant_id": "acme-corp",
"name": "production-key",
"permissions": ${JSON.stringify(GUIDE_PERMISSIONS, null, 0)}
}`,
    );
    expect(status).toBe(201);
    expect(body).toMatchObject({ permissions: GUIDE_PERMISSIONS, key_secret: expect.stringMatching(/^cyc_live_/) as string });
    keyId = String(body['key_id']);
    keySecret = String(body['key_secret']);
  });

  test('the keys of the tenant are listed', async () => {
    const { status, body, text } = await ask('listApiKeys', 'GET', '/v1/admin/api-keys?tenant_id=acme-corp');
    expect(status).toBe(200);
    expect(body['keys']).toMatchObject([{ key_id: keyId, name: 'production-key', status: 'ACTIVE' }]);
    expect(text).not.toContain(keySecret);
  });

  test('a key is revoked', async () => {
    const { body } = await ask('createApiKey', 'POST', '/v1/admin/api-keys', '{"tenant_id": "acme-corp", "name": "short-lived"}');
    const revoked = await ask('revokeApiKey', 'DELETE', `/v1/admin/api-keys/${String(body['key_id'])}`);
    expect([revoked.status, revoked.body['status']]).toEqual([200, 'REVOKED']);
  });

  test('a budget ledger is created', async () => {
    const { status, body } = await ask(
      'createBudget',
      'POST',
      '/v1/admin/budgets',
      `{
"tenant_id": "acme-corp",
"scope": "tenant:acme-corp",
"unit": "USD_MICROCENTS",
"allocated": 100000000
}`,
    );
    expect(status).toBe(201);
    expect(body).toMatchObject({ scope: 'tenant:acme-corp', allocated: microcents(100_000_000), remaining: microcents(100_000_000) });
  });

  test('it is funded, by the whole address that the guide means', async () => {
    const { status, body } = await ask(
      'fundBudget',
      'POST',
      '/v1/admin/budgets/fund?scope=tenant:acme-corp&unit=USD_MICROCENTS',
      `{
"operation": "CREDIT",
"amount": 50000000
}`,
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({
      operation: 'CREDIT',
      previous_allocated: microcents(100_000_000),
      new_allocated: microcents(150_000_000),
      new_remaining: microcents(150_000_000),
    });
  });

  test('its settings are patched', async () => {
    const { status, body } = await ask(
      'updateBudget',
      'PATCH',
      '/v1/admin/budgets?scope=tenant:acme-corp&unit=USD_MICROCENTS',
      `{
"commit_overage_policy": "REJECT",
"overdraft_limit": 10000000
}`,
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({ commit_overage_policy: 'REJECT', overdraft_limit: microcents(10_000_000) });
  });

  test('a policy is created', async () => {
    const { status, body } = await ask(
      'createPolicy',
      'POST',
      '/v1/admin/policies',
      `{
"tenant_id": "acme-corp",
"name": "limit-gpt4",
"scope_pattern": "tenant:acme-corp/agent:*",
"caps": {"max_tokens": 4096},
"overage_policy": "REJECT",
"priority": 100
}`,
    );
    expect(status).toBe(201);
    expect(body).toMatchObject({
      scope_pattern: 'tenant:acme-corp/agent:*',
      caps: { max_tokens: 4096 },
      commit_overage_policy: 'REJECT',
      priority: 100,
    });
    policyId = String(body['policy_id']);
  });

  test('it is updated', async () => {
    const { status, body } = await ask(
      'updatePolicy',
      'PATCH',
      `/v1/admin/policies/${policyId}`,
      `{
"caps": {"max_tokens": 8192},
"status": "ACTIVE"
}`,
    );
    expect(status).toBe(200);
    expect(body).toMatchObject({ caps: { max_tokens: 8192 }, status: 'ACTIVE', priority: 100 });
  });

  test('the audit trail tells of all of it, under both of its addresses', async () => {
    const { status, body } = await ask('listAuditLogs', 'GET', '/v1/admin/audit-logs?tenant_id=acme-corp&limit=10');
    expect(status).toBe(200);
    const logs = body['logs'] as readonly { readonly operation: string; readonly status: number }[];
    expect(logs).toHaveLength(10);
    expect(logs.slice(0, 4).map(({ operation }) => operation)).toEqual(['updatePolicy', 'createPolicy', 'updateBudget', 'fundBudget']);
    const { body: same } = await ask('listAuditLogs', 'GET', '/v1/admin/audit/logs?tenant_id=acme-corp&limit=10');
    expect(same['logs']).toEqual(logs);
  });
}

describe('SQLite', () => testGuide(() => Promise.resolve({ kind: 'sqlite' })));

describePostgres('PostgreSQL', () => {
  let cluster: PostgresCluster;
  beforeAll(async () => {
    cluster = await startPostgresCluster();
  });
  afterAll(() => cluster.stop());

  testGuide(async () => ({ kind: 'postgres', url: await cluster.createDatabase() }));
});

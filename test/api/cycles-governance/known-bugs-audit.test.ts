import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { expectAnswer } from '../../support/cycles-answers.ts';
import { makeGovernanceClient, type GovernanceClient } from '../../support/governance-client.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const LOGS = '/v1/admin/audit/logs';
const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SCOPE = 'tenant:acme-corp';

type Row = Readonly<Record<string, unknown>>;

let at: TestApp;
let operator: GovernanceClient;
let tenant: GovernanceClient;
let key: { readonly key_id: string; readonly key_secret: string };

beforeEach(async () => {
  at = await makeTestApp();
  operator = makeGovernanceClient(at);
  await operator.ask('createTenant', 'POST', '/v1/admin/tenants', { tenant_id: 'acme-corp', name: 'Acme' });
  key = (await operator.ask<typeof key>('createApiKey', 'POST', '/v1/admin/api-keys', { tenant_id: 'acme-corp', name: 'k' })).body;
  tenant = makeGovernanceClient(at, key.key_secret);
  await tenant.ask('createBudget', 'POST', '/v1/admin/budgets', {
    scope: SCOPE,
    unit: 'TOKENS',
    allocated: { unit: 'TOKENS', amount: 1000 },
  });
});
afterEach(() => at.close());

const rows = async (query: string): Promise<readonly Row[]> =>
  (await operator.ask<{ logs: readonly Row[] }>('listAuditLogs', 'GET', `${LOGS}?sort_dir=asc&${query}`)).body.logs;

async function reserve(): Promise<string> {
  const answer = await at.cycles(key.key_secret)('POST', '/v1/reservations', {
    idempotency_key: 'r-1',
    subject: { tenant: 'acme-corp' },
    action: { kind: 'llm.completion', name: 'm' },
    estimate: { unit: 'TOKENS', amount: 10 },
  });
  expectAnswer('createReservation', answer.status, answer.json, 'runtime');
  return (answer.json as { reservation_id: string }).reservation_id;
}

const release = (id: string, headers: Record<string, string> = {}) =>
  at.operator('POST', `/v1/reservations/${id}/release`, { idempotency_key: 'f-1', reason: 'stuck' }, headers);

describe('a release that the operator forces', () => {
  test('is found by its reservation, its request and its trace, as done on the tenant’s behalf', async () => {
    const id = await reserve();
    const { status, headers } = await release(id, { 'x-cycles-trace-id': TRACE });
    expect(status).toBe(200);
    const [row, ...others] = await rows(`resource_id=${id}`);
    expect(others).toEqual([]);
    expect(row).toMatchObject({
      operation: 'releaseReservation',
      tenant_id: 'acme-corp',
      status: 200,
      request_id: headers['x-request-id'],
      trace_id: TRACE,
      metadata: { actor_type: 'admin_on_behalf_of' },
    });
    expect(await rows(`trace_id=${TRACE}`)).toEqual([row]);
    expect(await rows(`request_id=${String(headers['x-request-id'])}`)).toEqual([row]);
  });

  test('is done together with its row, or not at all', async () => {
    const id = await reserve();
    at.store.beforeBatch = (commands) => {
      if (commands.some(({ audit }) => audit !== undefined)) throw new Error('the trail cannot be written');
    };
    expect((await release(id)).status).toBe(500);
    at.store.beforeBatch = null;
    expect((await at.store.reservation(id))?.state).toBe('ACTIVE');
    expect(await rows(`resource_id=${id}`)).toEqual([]);
    expect(await rows('status=500')).toMatchObject([
      { operation: 'POST:/v1/reservations/:reservation_id/release', tenant_id: '__admin__' },
    ]);
  });

  test('that is refused leaves a row, and repeated leaves no second', async () => {
    const id = await reserve();
    await release(id);
    await release(id);
    expect(await rows(`resource_id=${id}`)).toHaveLength(1);
    expect((await at.operator('POST', `/v1/reservations/${id}/release`, { idempotency_key: 5 })).status).toBe(400);
    expect(await rows('tenant_id=__admin__')).toMatchObject([{ status: 400, error_code: 'INVALID_REQUEST' }]);
  });

  test('and what a key does to its own reservations is in the journal alone', async () => {
    const id = await reserve();
    await at.cycles(key.key_secret)('POST', `/v1/reservations/${id}/release`, { idempotency_key: 'f-1' });
    expect(await rows(`resource_id=${id}`)).toEqual([]);
  });
});

describe('a request with a bad credential', () => {
  test('is answered with its trace, and found by it', async () => {
    const client = makeGovernanceClient(at, 'cyc_live_nobody');
    const { status, headers } = await client.ask('listBudgets', 'GET', '/v1/admin/budgets', undefined, { 'x-cycles-trace-id': TRACE });
    expect([status, headers['x-cycles-trace-id']]).toEqual([401, TRACE]);
    expect(await rows(`trace_id=${TRACE}`)).toMatchObject([
      { tenant_id: '__unauth__', operation: 'GET:/v1/admin/budgets', status: 401, request_id: headers['x-request-id'] },
    ]);
  });

  test('buys no write, on whatever surface it comes', async () => {
    const before = at.store.batchSizes.length;
    for (let attempt = 0; attempt < 20; attempt++) {
      await makeGovernanceClient(at, `cyc_live_${attempt}`).ask('createBudget', 'POST', '/v1/admin/budgets', {});
      await at.cycles(`cyc_live_${attempt}`)('POST', '/v1/reservations', {});
      await at.as(`admin_${attempt}`)('POST', '/api/keys', {});
      await at.as(null)('POST', '/v1/x-castellan/tenants', {});
    }
    expect(at.store.batchSizes).toHaveLength(before);
    expect(at.failedCredentials.total).toBe(80);
  });
});

describe('rows of the trail', () => {
  test('name the tenant whose policy changes', async () => {
    const policy = { name: 'p', scope_pattern: `${SCOPE}/*`, priority: 1 };
    const made = await tenant.ask<{ policy_id: string }>('createPolicy', 'POST', '/v1/admin/policies', policy);
    await operator.ask('updatePolicy', 'PATCH', `/v1/admin/policies/${made.body.policy_id}`, { priority: 2 });
    expect(await rows('operation=updatePolicy')).toMatchObject([
      { tenant_id: 'acme-corp', resource_type: 'policy', resource_id: made.body.policy_id, metadata: { actor_type: 'admin_on_behalf_of' } },
    ]);
  });

  test('are not written again by a repeated funding', async () => {
    const fund = () =>
      tenant.ask('fundBudget', 'POST', `/v1/admin/budgets/fund?scope=${SCOPE}&unit=TOKENS`, {
        operation: 'CREDIT',
        amount: { unit: 'TOKENS', amount: 5 },
        idempotency_key: 'once',
      });
    expect([(await fund()).status, (await fund()).status]).toEqual([200, 200]);
    expect(await rows('operation=fundBudget')).toHaveLength(1);
  });

  test('of all that a tenant’s close ends have the kinds that are reserved for them, and belong to its request', async () => {
    const closed = await operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/acme-corp', { status: 'CLOSED' });
    const found = await rows(`request_id=${String(closed.headers['x-request-id'])}&status=200`);
    expect(found.map(({ operation }) => String(operation)).toSorted()).toEqual([
      'api_key.revoked_via_tenant_cascade',
      'budget.closed_via_tenant_cascade',
      'updateTenant',
    ]);
  });
});

import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { budgetId } from '../../../src/core/ledger/account.ts';
import type { Account } from '../../../src/core/ledger/account.ts';
import { makeGovernanceClient, type GovernanceClient } from '../../support/governance-client.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

let at: TestApp;
let operator: GovernanceClient;

beforeEach(async () => {
  at = await makeTestApp();
  operator = makeGovernanceClient(at);
});
afterEach(() => at.close());

const overview = async () => {
  const { status, body } = await operator.ask('getAdminOverview', 'GET', '/v1/admin/overview');
  expect(status).toBe(200);
  return body;
};
const makeTenant = (id: string) => operator.ask('createTenant', 'POST', '/v1/admin/tenants', { tenant_id: id, name: id });
const makeBudget = async (scope: string, unit: string, changes: Partial<Account> = {}): Promise<void> => {
  const tenantId = scope.slice('tenant:'.length).split('/')[0] ?? '';
  const { status } = await operator.ask('createBudget', 'POST', '/v1/admin/budgets', {
    tenant_id: tenantId,
    scope,
    unit,
    allocated: { unit, amount: 1000 },
  });
  expect(status).toBe(201);
  const id = budgetId(tenantId, scope, unit);
  const account = at.store.tables.accounts.get(id);
  if (account !== undefined) at.store.tables.accounts.set(id, { ...account, ...changes });
};
/** Events that other parts tell: what counts here is what stands in the table. */
const tell = (type: string, atMs: number, data: Record<string, string | number> = {}): void =>
  void at.store.tables.events.push({
    id: `evt_${at.store.tables.events.length}`,
    type,
    tenantId: 'acme-corp',
    atMs,
    data,
    scope: 'tenant:acme-corp',
  });

const NOTHING = {
  as_of: '2026-04-09T00:00:00Z',
  event_window_seconds: 3600,
  tenant_counts: { total: 0, active: 0, suspended: 0, closed: 0 },
  budget_counts: { total: 0, active: 0, frozen: 0, closed: 0, over_limit: 0, with_debt: 0, by_unit: {} },
  over_limit_scopes: [],
  debt_scopes: [],
  webhook_counts: { total: 0, active: 0, disabled: 0, with_failures: 0 },
  failing_webhooks: [],
  event_counts: { total_recent: 0, by_category: {} },
  recent_denials: [],
  recent_expiries: [],
  recent_denials_by_reason: {},
};

describe('getAdminOverview', () => {
  test('200: everything that a dashboard needs is there, also where there is nothing', async () => {
    expect(await overview()).toEqual(NOTHING);
  });

  test('counts tenants by status', async () => {
    for (const id of ['one', 'two', 'three', 'four']) await makeTenant(id);
    await operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/one', { status: 'SUSPENDED' });
    await operator.ask('updateTenant', 'PATCH', '/v1/admin/tenants/two', { status: 'CLOSED' });
    expect((await overview())['tenant_counts']).toEqual({ total: 4, active: 2, suspended: 1, closed: 1 });
  });

  test('counts budgets by status and unit, and shows those in trouble to the digit, the worst first', async () => {
    await makeTenant('acme-corp');
    await makeBudget('tenant:acme-corp', 'USD_MICROCENTS', { debt: 9_007_199_254_742_993n, overdraftLimit: 5n, isOverLimit: true });
    await makeBudget('tenant:acme-corp/app:bot', 'USD_MICROCENTS', { debt: 3n, overdraftLimit: 5n });
    await makeBudget('tenant:acme-corp/app:bot', 'TOKENS', { isOverLimit: true });
    await makeBudget('tenant:acme-corp/app:web', 'TOKENS', { status: 'FROZEN' });
    await makeBudget('tenant:acme-corp/app:old', 'CREDITS', { status: 'CLOSED' });
    const { budget_counts: counts, over_limit_scopes: over, debt_scopes: debts } = await overview();
    expect(counts).toEqual({
      total: 5,
      active: 3,
      frozen: 1,
      closed: 1,
      over_limit: 2,
      with_debt: 2,
      by_unit: { USD_MICROCENTS: 2, TOKENS: 2, CREDITS: 1 },
    });
    expect(over).toEqual([
      {
        scope: 'tenant:acme-corp',
        unit: 'USD_MICROCENTS',
        allocated: 1000,
        remaining: -9_007_199_254_741_993n,
        debt: 9_007_199_254_742_993n,
      },
      { scope: 'tenant:acme-corp/app:bot', unit: 'TOKENS', allocated: 1000, remaining: 1000, debt: 0 },
    ]);
    expect(debts).toEqual([
      { scope: 'tenant:acme-corp', unit: 'USD_MICROCENTS', debt: 9_007_199_254_742_993n, overdraft_limit: 5 },
      { scope: 'tenant:acme-corp/app:bot', unit: 'USD_MICROCENTS', debt: 3, overdraft_limit: 5 },
    ]);
  });

  test('counts what happened in the last hour by category, and shows the last ten denials and expiries', async () => {
    const now = at.clock.nowMs();
    tell('reservation.denied', now - 3_600_001, { reason_code: 'BUDGET_EXCEEDED' });
    tell('reservation.denied', now - 3_600_000, { reason_code: 'BUDGET_FROZEN' });
    for (let index = 0; index < 11; index++) tell('reservation.denied', now - 11 + index, { reason_code: 'BUDGET_EXCEEDED' });
    tell('reservation.denied', now, { reason_code: 'BUDGET_EXCEEDED', count: 40 });
    tell('reservation.expired', now - 5, { reservation_id: 'res_1' });
    tell('budget.exhausted', now);
    // Types that are ours alone are none of the dashboard's.
    tell('model.created', now);
    const body = await overview();
    expect(body['event_counts']).toEqual({ total_recent: 15, by_category: { reservation: 14, budget: 1 } });
    expect(body['recent_denials_by_reason']).toEqual({ BUDGET_EXCEEDED: 51, BUDGET_FROZEN: 1 });
    const denials = body['recent_denials'] as readonly { readonly event_id: string; readonly timestamp: string }[];
    expect(denials).toHaveLength(10);
    expect(denials[0]).toMatchObject({ event_type: 'reservation.denied', data: { count: 40 }, timestamp: '2026-04-09T00:00:00Z' });
    expect(body['recent_expiries']).toMatchObject([{ event_type: 'reservation.expired', data: { reservation_id: 'res_1' } }]);
  });

  test('401: nobody but the operator', async () => {
    await makeTenant('acme-corp');
    const { body } = await operator.ask<{ key_secret: string }>('createApiKey', 'POST', '/v1/admin/api-keys', {
      tenant_id: 'acme-corp',
      name: 'k',
      permissions: ['admin:read', 'admin:write'],
    });
    expect((await makeGovernanceClient(at, body.key_secret).ask('getAdminOverview', 'GET', '/v1/admin/overview')).status).toBe(401);
  });
});

import { expect } from 'vitest';
import type { EventType } from '../../src/core/cycles/event-types.ts';
import { tokens, type Stage } from './stage.ts';
import type { WATCHED_TYPES } from './watched-types.ts';

/** How an event arises, on the surfaces of the running server. */
export interface EventCase {
  /** Brings its condition about once, and does whatever must not bring it about again. */
  readonly act: (stage: Stage) => Promise<unknown>;
  /** All that its event says; `TENANT` stands for the stage's. */
  readonly data: object;
  /** Whose event it is, where it is not the tenant's. */
  readonly tenant?: '__system__';
}

/** Stands in data for the tenant of the stage, also within a scope. */
export const TENANT = '{tenant}';

const idLike = (prefix: string): string => expect.stringMatching(new RegExp(`^${prefix}_[0-9A-Z]{26}$`)) as string;
const LEDGER = idLike('ldg');
const RESERVATION = idLike('rsv');
const WEBHOOK = idLike('whsub');
const KEY = idLike('key');
const MOMENT = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;

const ofBudget = { scope: `tenant:${TENANT}`, unit: 'TOKENS' };
const ofWebhook = { subscription_id: WEBHOOK, tenant_id: TENANT };
const ofKey = { key_id: KEY, key_name: 'k', permissions: expect.arrayContaining(['reservations:create', 'balances:read']) as string[] };
const ofPolicy = { policy_id: idLike('pol'), name: 'a policy', scope_pattern: `tenant:${TENANT}/*` };
const cascade = (from: string, to: string) => ({ prior_status: from, new_status: to, cascade_reason: 'tenant_closed' });
const tenantData = (from: string, to: string, field: string) => ({
  tenant_id: TENANT,
  previous_status: from,
  new_status: to,
  changed_fields: [field],
});

const NEW = { allocated: 100, remaining: 100, debt: 0, spent: 0, reserved: 0, status: 'ACTIVE' };
const OWING = { allocated: 10, spent: 10 };
/** What was done to a budget, from a state to a state; each as a new one of 100, but for what is given. */
const budgetData = (operation: string, from: object | null, to: object, more: object = {}) => ({
  ledger_id: LEDGER,
  ...ofBudget,
  operation,
  ...(from === null ? {} : { previous_state: { ...NEW, ...from } }),
  new_state: { ...NEW, ...to },
  ...more,
});

const patchTenant = (stage: Stage, body: object) => stage.admin('updateTenant', 'PATCH', `/v1/admin/tenants/${stage.tenant}`, body);
const twice = async (act: () => Promise<unknown>): Promise<void> => {
  await act();
  await act();
};
const makePolicy = (stage: Stage): Promise<string> =>
  stage
    .admin<{ policy_id: string }>('createPolicy', 'POST', '/v1/admin/policies', {
      tenant_id: stage.tenant,
      name: 'a policy',
      scope_pattern: `${stage.scope}/*`,
    })
    .then(({ policy_id: id }) => id);
const patchWebhook = (stage: Stage, id: string, body: object) =>
  stage.admin('updateWebhookSubscription', 'PATCH', `/v1/admin/webhooks/${id}`, body);
/** An overdraft: 8 of 10 are owed, of which 5 may be. */
const intoDebt = async (stage: Stage, limit: number): Promise<void> => {
  await stage.budget(10, { overdraft_limit: tokens(limit), commit_overage_policy: 'ALLOW_WITH_OVERDRAFT' });
  await stage.commit(await stage.reserve(10), 18, {});
};

/** A case for each type, which the compiler asks for. */
export const SURFACE_CASES: Readonly<Record<Exclude<EventType, (typeof WATCHED_TYPES)[number]>, EventCase>> = {
  'budget.created': {
    data: budgetData('CREATE', null, {}),
    act: async (stage) => {
      await stage.budget(100);
      const again = { tenant_id: stage.tenant, scope: stage.scope, unit: 'TOKENS', allocated: tokens(1) };
      await stage.refused('createBudget', 'POST', '/v1/admin/budgets', again);
    },
  },
  'budget.updated': {
    data: budgetData('UPDATE', {}, {}, { changed_fields: ['overdraft_limit'] }),
    act: async (stage) => {
      await stage.budget(100);
      await twice(() => stage.admin('updateBudget', 'PATCH', `/v1/admin/budgets?${stage.named}`, { overdraft_limit: tokens(7) }));
    },
  },
  'budget.funded': {
    data: budgetData('CREDIT', {}, { allocated: 105, remaining: 105 }, { changed_fields: ['allocated', 'remaining'], reason: 'more' }),
    act: (stage) => stage.budget(100).then(() => stage.fund('CREDIT', 5, { reason: 'more' })),
  },
  'budget.debited': {
    data: budgetData('DEBIT', {}, { allocated: 95, remaining: 95 }, { changed_fields: ['allocated', 'remaining'] }),
    act: (stage) => stage.budget(100).then(() => stage.fund('DEBIT', 5)),
  },
  'budget.reset': {
    data: budgetData('RESET', {}, { allocated: 50, remaining: 50 }, { changed_fields: ['allocated', 'remaining'] }),
    act: (stage) => stage.budget(100).then(() => stage.fund('RESET', 50)),
  },
  'budget.reset_spent': {
    data: budgetData(
      'RESET_SPENT',
      {},
      { allocated: 50, remaining: 47, spent: 3 },
      { changed_fields: ['allocated', 'remaining', 'spent'], spent_override_provided: true },
    ),
    act: (stage) => stage.budget(100).then(() => stage.fund('RESET_SPENT', 50, { spent: tokens(3) })),
  },
  'budget.debt_repaid': {
    data: budgetData(
      'REPAY_DEBT',
      { ...OWING, remaining: -8, debt: 8 },
      { ...OWING, remaining: -3, debt: 3 },
      { changed_fields: ['remaining', 'debt'] },
    ),
    act: (stage) => intoDebt(stage, 20).then(() => stage.fund('REPAY_DEBT', 5)),
  },
  'budget.frozen': {
    data: budgetData('STATUS_CHANGE', {}, { status: 'FROZEN' }, { changed_fields: ['status'], reason: 'a look' }),
    act: async (stage) => {
      await stage.budget(100);
      await stage.admin('freezeBudget', 'POST', `/v1/admin/budgets/freeze?${stage.named}`, { reason: 'a look' });
      await stage.refused('freezeBudget', 'POST', `/v1/admin/budgets/freeze?${stage.named}`);
    },
  },
  'budget.unfrozen': {
    data: budgetData('STATUS_CHANGE', { status: 'FROZEN' }, {}, { changed_fields: ['status'] }),
    act: async (stage) => {
      await stage.budget(100);
      await stage.admin('freezeBudget', 'POST', `/v1/admin/budgets/freeze?${stage.named}`);
      await stage.admin('unfreezeBudget', 'POST', `/v1/admin/budgets/unfreeze?${stage.named}`);
      await stage.refused('unfreezeBudget', 'POST', `/v1/admin/budgets/unfreeze?${stage.named}`);
    },
  },
  'budget.closed': {
    data: budgetData('STATUS_CHANGE', {}, { status: 'CLOSED' }, { changed_fields: ['status'] }),
    act: async (stage) => {
      await stage.budget(100);
      await stage.admin('freezeBudget', 'POST', `/v1/x-castellan/budgets/close?${stage.named}`);
      await stage.refused('freezeBudget', 'POST', `/v1/x-castellan/budgets/close?${stage.named}`);
    },
  },
  'budget.closed_via_tenant_cascade': {
    data: { ...ofBudget, ledger_id: LEDGER, ...cascade('ACTIVE', 'CLOSED') },
    act: async (stage) => {
      await stage.budget(100);
      await patchTenant(stage, { status: 'CLOSED' });
    },
  },
  'budget.threshold_crossed': {
    data: { ...ofBudget, threshold: 0.5, utilization: 0.6, allocated: 100, remaining: 40, spent: 0, reserved: 60, direction: 'rising' },
    // From nothing to half: one threshold; a hold beside it crosses none.
    act: async (stage) => {
      await stage.budget(100);
      await stage.reserve(60);
      await stage.reserve(1);
    },
  },
  'budget.exhausted': {
    data: { ...ofBudget, threshold: 1, utilization: 1, allocated: 10, remaining: 0, spent: 0, reserved: 10, direction: 'rising' },
    act: async (stage) => {
      await stage.budget(10);
      await stage.commit(await stage.reserve(10), 10);
      await stage.run('createReservation', 'POST', '/v1/reservations', stage.hold(1));
    },
  },
  'budget.over_limit_entered': {
    data: { ...ofBudget, debt: 8, overdraft_limit: 4, is_over_limit: true, debt_utilization: 2 },
    act: async (stage) => {
      await intoDebt(stage, 20);
      // The limit is lowered below what is owed.
      await stage.admin('updateBudget', 'PATCH', `/v1/admin/budgets?${stage.named}`, { overdraft_limit: tokens(4) });
      await stage.admin('updateBudget', 'PATCH', `/v1/admin/budgets?${stage.named}`, { overdraft_limit: tokens(3) });
    },
  },
  'budget.over_limit_exited': {
    data: { ...ofBudget, debt: 2, overdraft_limit: 4, is_over_limit: false, debt_utilization: 0.5 },
    act: async (stage) => {
      await intoDebt(stage, 20);
      await stage.admin('updateBudget', 'PATCH', `/v1/admin/budgets?${stage.named}`, { overdraft_limit: tokens(4) });
      await stage.fund('REPAY_DEBT', 6);
      await stage.fund('REPAY_DEBT', 1);
    },
  },
  'budget.debt_incurred': {
    data: {
      ...ofBudget,
      reservation_id: RESERVATION,
      debt_incurred: 8,
      total_debt: 8,
      overdraft_limit: 20,
      overage_policy: 'ALLOW_WITH_OVERDRAFT',
    },
    act: (stage) => intoDebt(stage, 20),
  },
  'reservation.denied': {
    data: {
      ...ofBudget,
      reason_code: 'BUDGET_EXCEEDED',
      requested_amount: 11,
      remaining: 10,
      action: { kind: 'llm.completion', name: 'a-model' },
      subject: { tenant: TENANT },
    },
    act: async (stage) => {
      await stage.budget(10);
      await stage.run('createReservation', 'POST', '/v1/reservations', stage.hold(11));
    },
  },
  'reservation.expired': {
    data: {
      ...ofBudget,
      reservation_id: RESERVATION,
      estimated_amount: 10,
      created_at: MOMENT,
      expired_at: MOMENT,
      ttl_ms: 5000,
      extensions_used: 0,
    },
    act: async (stage) => {
      await stage.budget(100);
      await stage.reserve(10, { ttl_ms: 5000, grace_period_ms: 0 });
    },
  },
  'reservation.commit_overage': {
    data: {
      ...ofBudget,
      reservation_id: RESERVATION,
      estimated_amount: 10,
      actual_amount: 12,
      overage: 2,
      overage_policy: 'ALLOW_IF_AVAILABLE',
      debt_incurred: 0,
    },
    act: async (stage) => {
      await stage.budget(100);
      await stage.commit(await stage.reserve(10), 10);
      await stage.commit(await stage.reserve(10), 9);
      await stage.commit(await stage.reserve(10), 12);
    },
  },
  'reservation.released_via_tenant_cascade': {
    data: { ...ofBudget, ledger_id: LEDGER, released_amount: 15, prior_status: 'ACTIVE', cascade_reason: 'tenant_closed' },
    act: async (stage) => {
      await stage.budget(100);
      await stage.reserve(10);
      await stage.reserve(5);
      await patchTenant(stage, { status: 'CLOSED' });
    },
  },
  'tenant.created': {
    data: { tenant_id: TENANT, new_status: 'ACTIVE', changed_fields: [] },
    act: (stage) => stage.admin('createTenant', 'POST', '/v1/admin/tenants', { tenant_id: stage.tenant, name: stage.tenant }),
  },
  'tenant.updated': {
    data: tenantData('ACTIVE', 'ACTIVE', 'name'),
    act: (stage) => twice(() => patchTenant(stage, { name: 'another' })),
  },
  'tenant.suspended': {
    data: tenantData('ACTIVE', 'SUSPENDED', 'status'),
    act: (stage) => twice(() => patchTenant(stage, { status: 'SUSPENDED' })),
  },
  'tenant.reactivated': {
    data: tenantData('SUSPENDED', 'ACTIVE', 'status'),
    act: async (stage) => {
      await patchTenant(stage, { status: 'SUSPENDED' });
      await twice(() => patchTenant(stage, { status: 'ACTIVE' }));
    },
  },
  'tenant.closed': {
    data: tenantData('ACTIVE', 'CLOSED', 'status'),
    act: (stage) => twice(() => patchTenant(stage, { status: 'CLOSED' })),
  },
  'tenant.settings_changed': {
    data: tenantData('ACTIVE', 'ACTIVE', 'default_reservation_ttl_ms'),
    act: (stage) => twice(() => patchTenant(stage, { default_reservation_ttl_ms: 30_000 })),
  },
  'webhook.created': {
    data: { ...ofWebhook, new_status: 'ACTIVE', changed_fields: [] },
    act: (stage) => stage.webhook(),
  },
  'webhook.updated': {
    data: { ...ofWebhook, previous_status: 'ACTIVE', new_status: 'ACTIVE', changed_fields: ['name'] },
    act: async (stage) => {
      const id = await stage.webhook();
      await twice(() => patchWebhook(stage, id, { name: 'another' }));
    },
  },
  'webhook.paused': {
    data: { ...ofWebhook, previous_status: 'ACTIVE', new_status: 'PAUSED', changed_fields: [] },
    act: async (stage) => {
      const id = await stage.webhook();
      await twice(() => patchWebhook(stage, id, { status: 'PAUSED' }));
    },
  },
  'webhook.resumed': {
    data: { ...ofWebhook, previous_status: 'PAUSED', new_status: 'ACTIVE', changed_fields: [] },
    act: async (stage) => {
      const id = await stage.webhook();
      await patchWebhook(stage, id, { status: 'PAUSED' });
      await twice(() => patchWebhook(stage, id, { status: 'ACTIVE' }));
    },
  },
  'webhook.disabled': {
    data: {
      ...ofWebhook,
      previous_status: 'ACTIVE',
      new_status: 'DISABLED',
      changed_fields: [],
      disable_reason: 'consecutive_failures_exceeded_threshold',
    },
    act: async (stage) => {
      await stage.webhook({ disable_after_failures: 1 });
      await stage.budget(100);
    },
  },
  'webhook.deleted': {
    data: { ...ofWebhook, previous_status: 'ACTIVE', changed_fields: [] },
    act: async (stage) => {
      const path = `/v1/admin/webhooks/${await stage.webhook()}`;
      await stage.admin('deleteWebhookSubscription', 'DELETE', path);
      await stage.refused('deleteWebhookSubscription', 'DELETE', path);
    },
  },
  'webhook.disabled_via_tenant_cascade': {
    data: { subscription_id: WEBHOOK, ...cascade('ACTIVE', 'DISABLED') },
    act: async (stage) => {
      await stage.webhook();
      await patchTenant(stage, { status: 'CLOSED' });
    },
  },
  // The tenant's first key is made with its stage.
  'api_key.created': {
    data: { ...ofKey, new_status: 'ACTIVE' },
    act: () => Promise.resolve(),
  },
  'api_key.revoked': {
    data: { ...ofKey, previous_status: 'ACTIVE', new_status: 'REVOKED' },
    act: async (stage) => {
      const path = `/v1/admin/api-keys/${stage.keyId}`;
      await stage.admin('revokeApiKey', 'DELETE', path);
      await stage.refused('revokeApiKey', 'DELETE', path);
    },
  },
  'api_key.revoked_via_tenant_cascade': {
    data: { key_id: KEY, name: 'k', ...cascade('ACTIVE', 'REVOKED') },
    act: (stage) => patchTenant(stage, { status: 'CLOSED' }),
  },
  'api_key.expired': {
    data: { key_id: KEY, key_name: 'short', previous_status: 'ACTIVE', new_status: 'EXPIRED', permissions: ['balances:read'] },
    act: (stage) =>
      stage.admin('createApiKey', 'POST', '/v1/admin/api-keys', {
        tenant_id: stage.tenant,
        name: 'short',
        permissions: ['balances:read'],
        expires_at: new Date(Date.now() + 5000).toISOString(),
      }),
  },
  'api_key.permissions_changed': {
    data: { ...ofKey, previous_status: 'ACTIVE', new_status: 'ACTIVE', permissions: ['balances:read'] },
    act: (stage) =>
      twice(() => stage.admin('updateApiKey', 'PATCH', `/v1/admin/api-keys/${stage.keyId}`, { permissions: ['balances:read'] })),
  },
  'api_key.auth_failed': {
    data: { key_id: KEY, failure_reason: 'key_revoked', source_ip: '127.0.0.1' },
    act: async (stage) => {
      await stage.admin('revokeApiKey', 'DELETE', `/v1/admin/api-keys/${stage.keyId}`);
      await stage.run('getBalances', 'GET', `/v1/balances?tenant=${stage.tenant}`);
    },
  },
  'policy.created': {
    data: ofPolicy,
    act: makePolicy,
  },
  'policy.updated': {
    data: { ...ofPolicy, changed_fields: ['description'] },
    act: async (stage) => {
      const id = await makePolicy(stage);
      await twice(() => stage.admin('updatePolicy', 'PATCH', `/v1/admin/policies/${id}`, { description: 'another' }));
    },
  },
  'policy.deleted': {
    data: ofPolicy,
    act: async (stage) => {
      const path = `/v1/x-castellan/policies/${await makePolicy(stage)}`;
      await stage.admin('deletePolicy', 'DELETE', path);
      await stage.refused('deletePolicy', 'DELETE', path);
    },
  },
  'system.webhook_delivery_failed': {
    data: {
      component: 'webhook_dispatcher',
      message: expect.stringMatching(/^the delivery dlv_\w+ to the webhook whsub_\w+ failed after 1 attempts$/) as string,
      severity: 'warning',
      details: {
        delivery_id: expect.stringMatching(/^dlv_/) as string,
        subscription_id: WEBHOOK,
        tenant_id: TENANT,
        event_id: expect.stringMatching(/^evt_/) as string,
        event_type: 'budget.created',
        attempts: 1,
        error_message: 'the host could not be resolved',
        consecutive_failures: 1,
      },
    },
    tenant: '__system__',
    act: async (stage) => {
      await stage.webhook();
      await stage.budget(100);
    },
  },
  'system.webhook_test': {
    data: {
      component: 'webhook_dispatcher',
      message: 'A test event, sent because somebody asked for it.',
      severity: 'info',
      details: { subscription_id: WEBHOOK },
    },
    act: async (stage) => stage.admin('testWebhookSubscription', 'POST', `/v1/admin/webhooks/${await stage.webhook()}/test`),
  },
};

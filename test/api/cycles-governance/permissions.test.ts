import { afterAll, beforeAll, expect, test } from 'vitest';
import { GOVERNANCE_OPERATIONS } from '../../../src/api/cycles-governance/operations.ts';
import { RUNTIME_OPERATIONS } from '../../../src/api/cycles-runtime/operations.ts';
import { PERMISSIONS } from '../../../src/core/cycles/permissions.ts';
import { expectAnswer, type Plane } from '../../support/cycles-answers.ts';
import type { TestResponse } from '../../support/test-app.ts';
import { makeHooks, type Hooks } from './webhook-harness.ts';

/** What each operation asks of a tenant's key. `operator`: none of its keys gets in; `any`: each does; `public`: it asks nobody. */
const NEEDS: Readonly<Record<Plane, Readonly<Record<string, readonly string[]>>>> = {
  governance: {
    operator: [
      'createTenant',
      'listTenants',
      'getTenant',
      'updateTenant',
      'bulkActionTenants',
      'createApiKey',
      'listApiKeys',
      'updateApiKey',
      'revokeApiKey',
      'validateApiKey',
      'updateBudget',
      'freezeBudget',
      'unfreezeBudget',
      'closeBudget',
      'bulkActionBudgets',
      'getPolicy',
      'deletePolicy',
      'listAuditLogs',
      'listAuditLogsByOldPath',
      'getAdminOverview',
      'listEvents',
      'getEvent',
      'createWebhookSubscription',
      'listWebhookSubscriptions',
      'getWebhookSubscription',
      'updateWebhookSubscription',
      'deleteWebhookSubscription',
      'testWebhookSubscription',
      'listWebhookDeliveries',
      'replayEvents',
      'bulkActionWebhooks',
      'getWebhookSecurityConfig',
      'updateWebhookSecurityConfig',
    ],
    any: ['introspectAuth'],
    'budgets:read': ['listBudgets', 'lookupBudget'],
    'budgets:write': ['createBudget', 'fundBudget'],
    'balances:read': ['getBalances'],
    'policies:read': ['listPolicies'],
    'policies:write': ['createPolicy', 'updatePolicy'],
    'webhooks:read': ['listTenantWebhooks', 'getTenantWebhook', 'listTenantWebhookDeliveries'],
    'webhooks:write': ['createTenantWebhook', 'updateTenantWebhook', 'deleteTenantWebhook', 'testTenantWebhook'],
    'events:read': ['listTenantEvents'],
  },
  runtime: {
    public: ['getEvidence', 'getEvidenceJwks'],
    'reservations:create': ['decide', 'createReservation'],
    'reservations:commit': ['commitReservation'],
    'reservations:release': ['releaseReservation'],
    'reservations:extend': ['extendReservation'],
    'reservations:list': ['listReservations', 'getReservation'],
    'balances:read': ['getBalances'],
    'events:create': ['createEvent'],
  },
};

const READS = ['budgets:read', 'balances:read', 'policies:read', 'webhooks:read', 'events:read'];
const WRITES = ['budgets:write', 'policies:write', 'webhooks:write'];

/** What a permission gives beyond what is called as it is. Those of tenants, keys and the trail open what no tenant's key may open: nothing. */
const GIVES: Readonly<Record<string, readonly string[]>> = {
  'reservations:create': ['events:create'],
  'admin:read': READS,
  'admin:write': WRITES,
  'admin:budgets:read': ['budgets:read'],
  'admin:budgets:write': ['budgets:write'],
  'admin:policies:read': ['policies:read'],
  'admin:policies:write': ['policies:write'],
  'admin:webhooks:read': ['webhooks:read'],
  'admin:webhooks:write': ['webhooks:write'],
  'admin:events:read': ['events:read'],
};

interface Tried {
  readonly plane: Plane;
  readonly id: string;
  readonly need: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Names nothing that is there, so that whoever gets in changes nothing. */
  readonly url: string;
}

const needOf = (plane: Plane, id: string): string =>
  Object.entries(NEEDS[plane]).find(([, operations]) => operations.includes(id))?.[0] ?? `nothing is said of ${id}`;

const TRIED: readonly Tried[] = (['governance', 'runtime'] as const).flatMap((plane) =>
  Object.entries(plane === 'governance' ? GOVERNANCE_OPERATIONS : RUNTIME_OPERATIONS).map(([key, { id }]): Tried => {
    const [method = '', pattern = ''] = key.split(' ');
    const path = pattern.replaceAll(/:[a-z_]+/g, 'nobody');
    // A level of a subject is what tells the runtime plane's balances from the other's.
    const url = plane === 'runtime' && id === 'getBalances' ? `${path}?tenant=acme` : path;
    return { plane, id, need: needOf(plane, id), method: method as Tried['method'], url };
  }),
);

let hooks: Hooks;
beforeAll(async () => void (hooks = await makeHooks()));
afterAll(() => hooks.close());

async function valueOf(permissions: readonly string[]): Promise<string> {
  const body = { tenant_id: 'acme', name: 'one', permissions };
  return String((await hooks.operator.ask('createApiKey', 'POST', '/v1/admin/api-keys', body)).body['key_secret']);
}

const errorOf = ({ json }: TestResponse): string => String((json as { error?: string } | undefined)?.error);

/** Who is refused at the door; everybody else gets an answer to the request itself. */
function doorOf({ status, json }: TestResponse): 'in' | 'no permission' | 'operator only' {
  const { error = '', message = '' } = (json ?? {}) as { error?: string; message?: string };
  if (status === 401) return 'operator only';
  const isRefused = status === 403 && (error === 'INSUFFICIENT_PERMISSIONS' || message.startsWith('the key lacks the permission'));
  return isRefused ? 'no permission' : 'in';
}

test('the table says of every documented operation what it needs, and of no other', () => {
  expect(TRIED.filter(({ need }) => need.startsWith('nothing'))).toEqual([]);
  const told = Object.values(NEEDS).flatMap((plane) => Object.values(plane).flat());
  expect(told.toSorted()).toEqual(TRIED.map(({ id }) => id).toSorted());
  expect(PERMISSIONS).toHaveLength(27);
});

test.each<[readonly string[]]>([[[]], ...PERMISSIONS.map((name): [string[]] => [[name]]), [['events:create']]])(
  'a key with %j opens exactly what that allows',
  async (permissions) => {
    const key = await valueOf(permissions);
    const given = new Set(['any', 'public', ...permissions, ...permissions.flatMap((name) => GIVES[name] ?? [])]);
    const found: string[] = [];
    const expected: string[] = [];
    for (const { plane, id, need, method, url } of TRIED) {
      const answer = await hooks.at.cycles(key)(method, url, method === 'GET' || method === 'DELETE' ? undefined : {});
      expectAnswer(id, answer.status, answer.json, plane);
      found.push(`${plane} ${id}: ${doorOf(answer)}`);
      expected.push(`${plane} ${id}: ${need === 'operator' ? 'operator only' : given.has(need) ? 'in' : 'no permission'}`);
      if (plane === 'governance' && doorOf(answer) === 'no permission') expect(errorOf(answer)).toBe('INSUFFICIENT_PERMISSIONS');
      // Whoever is in is answered, and nothing that was named is there to be changed.
      if (doorOf(answer) === 'in') expect([200, 400, 404]).toContain(answer.status);
    }
    expect(found).toEqual(expected);
  },
);

test('all permissions together open nothing of the operator’s', async () => {
  const key = await valueOf(PERMISSIONS);
  for (const { plane, id, need, method, url } of TRIED) {
    const answer = await hooks.at.cycles(key)(method, url, method === 'GET' || method === 'DELETE' ? undefined : {});
    expectAnswer(id, answer.status, answer.json, plane);
    expect([id, doorOf(answer)]).toEqual([id, need === 'operator' ? 'operator only' : 'in']);
  }
});

test('without a credential, and with one of another kind, nothing opens but what asks nobody', async () => {
  const { value: machine } = await hooks.at.addKey({ tenantId: 'acme', memberId: 'nobody', kind: 'inference' });
  for (const { plane, id, need, method, url } of TRIED) {
    const body = method === 'GET' || method === 'DELETE' ? undefined : {};
    for (const headers of [{}, { 'x-cycles-api-key': machine }, { authorization: `Bearer ${machine}` }] as Record<string, string>[]) {
      const answer = await hooks.at.as(null)(method, url, body, headers);
      expectAnswer(id, answer.status, answer.json, plane);
      expect([id, answer.status === 401]).toEqual([id, need !== 'public']);
    }
  }
});

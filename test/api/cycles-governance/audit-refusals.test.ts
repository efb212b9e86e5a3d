import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { makeGovernanceClient, type GovernanceClient } from '../../support/governance-client.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const LOGS = '/v1/admin/audit/logs';
const TENANTS = '/v1/admin/tenants';
const MINUTE_MS = 60_000;
/** Refusals of one caller in a minute that have a row each. */
const ROWS_A_MINUTE = 100;

interface Row {
  readonly log_id: string;
  readonly operation: string;
  readonly tenant_id: string;
  readonly status: number;
  readonly error_code?: string;
  readonly key_id?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

let at: TestApp;
let operator: GovernanceClient;
let tenant: GovernanceClient;
let key: { readonly key_id: string; readonly key_secret: string };

beforeEach(async () => {
  at = await makeTestApp();
  operator = makeGovernanceClient(at);
  await operator.ask('createTenant', 'POST', TENANTS, { tenant_id: 'acme-corp', name: 'Acme' });
  const permissions = ['budgets:read', 'budgets:write', 'webhooks:read'];
  const scopeFilter = ['tenant:acme-corp/workspace:dev'];
  key = (
    await operator.ask<typeof key>('createApiKey', 'POST', '/v1/admin/api-keys', {
      tenant_id: 'acme-corp',
      name: 'k',
      permissions,
      scope_filter: scopeFilter,
    })
  ).body;
  tenant = makeGovernanceClient(at, key.key_secret);
});
afterEach(() => at.close());

const rows = async (query: string): Promise<readonly Row[]> =>
  (await operator.ask<{ logs: readonly Row[] }>('listAuditLogs', 'GET', `${LOGS}?sort_dir=asc&limit=100&${query}`)).body.logs;
const refusals = (): Promise<readonly Row[]> => rows('status_min=400');
const budget = (scope: string, unit = 'TOKENS') => ({ scope, unit, allocated: { unit, amount: 1 } });

describe('a change that the caller may not make leaves a row', () => {
  test('in the trail of the key’s tenant: a permission that it lacks, and a scope or tenant that is not its own', async () => {
    const statuses = [
      (await tenant.ask('createPolicy', 'POST', '/v1/admin/policies', { name: 'p', scope_pattern: 'tenant:acme-corp/*' })).status,
      (await tenant.ask('createBudget', 'POST', '/v1/admin/budgets', budget('tenant:acme-corp/workspace:prod'))).status,
      (await tenant.ask('createBudget', 'POST', '/v1/admin/budgets', budget('tenant:other-corp/workspace:dev'))).status,
      (await tenant.ask('createWebhookSubscription', 'POST', '/v1/webhooks', {})).status,
    ];
    const found = await refusals();
    expect(found.map(({ status }) => status)).toEqual(statuses);
    expect(statuses.every((status) => status >= 400)).toBe(true);
    expect(found.every(({ tenant_id: tenantId, key_id: keyId }) => tenantId === 'acme-corp' && keyId === key.key_id)).toBe(true);
    expect(found.filter(({ status }) => status === 403).map(({ operation }) => operation)).toContain('POST:/v1/admin/policies');
  });

  test('on the Tinfoil surface and the operator’s, also with a key whose member is no admin any more', async () => {
    const { ann, bob } = await at.addTenant('acme');
    await at.operator('DELETE', '/v1/x-castellan/tenants/acme/members/bob');
    const answers = [
      await at.as(ann)('POST', '/api/keys', { name: 5 }),
      await at.as(ann)('POST', '/v1/x-castellan/keys/none/rotate', { grace_seconds: -1 }),
      await at.as(bob)('POST', '/api/keys', { name: 'mine' }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 403]);
    const found = (await refusals()).map(({ operation, status, tenant_id: tenantId, metadata }) => [
      operation,
      status,
      tenantId,
      metadata?.['attempts'],
    ]);
    expect(found).toEqual([
      ['POST:/api/keys', 400, 'acme', undefined],
      ['POST:/v1/x-castellan/keys/:id/rotate', 400, 'acme', undefined],
      ['POST:/api/keys', 403, 'acme', 1],
    ]);
  });
});

describe('the row of a refused request', () => {
  const SECRET = 'sk-hush-0123456789';

  test('holds no credential that the request brought, wherever it stood', async () => {
    const { ann } = await at.addTenant('acme');
    const { value } = await at.addKey({ tenantId: 'acme', memberId: 'ann', kind: 'inference', name: 'k' });
    const upstream = (more: object) => at.operator('POST', '/v1/x-castellan/upstreams', { id: 'u', base_url: 'http://x', ...more });
    const webhook = (more: object) =>
      at.operator('POST', '/v1/admin/webhooks', { url: 'https://x.example', event_types: ['tenant.created'], ...more });
    const answers = [
      await at.as(ann)('DELETE', `/api/keys/${value}x`),
      await upstream({ base_url: `http://a:${SECRET}@x/` }),
      await upstream({ base_url: 'nonsense', api_key: SECRET, headers: { authorization: SECRET } }),
      await upstream({ api_key: [SECRET] }),
      await upstream({ api_key: `${SECRET}\u0001` }),
      await upstream({ headers: { 'X-A': `${SECRET}\u0001` } }),
      await webhook({ url: `https://a:${SECRET}@x.example/` }),
      await webhook({ url: SECRET }),
      await webhook({ url: `https://x.example/?token=${SECRET}`, signing_secret: 5 }),
      await webhook({ signing_secret: [SECRET] }),
      await webhook({ headers: { 'bad header': SECRET } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([404, ...Array.from({ length: 10 }, () => 400)]);
    const found = await refusals();
    expect(found).toHaveLength(answers.length);
    expect(JSON.stringify(found)).not.toContain(SECRET);
    expect(JSON.stringify(found)).not.toContain(value);
  });

  test('is short, however long what was asked for is', async () => {
    const long = 'n'.repeat(60_000);
    await at.operator('POST', '/v1/x-castellan/models', { id: long, upstreams: [{ id: long }] });
    await operator.ask('createTenant', 'POST', TENANTS, { [long]: 1 });
    await operator.ask(
      'createTenant',
      'POST',
      TENANTS,
      { tenant_id: 'okay', name: 'x', metadata: { [long]: 5 } },
      { 'user-agent': long.slice(0, 9000) },
    );
    const found = await refusals();
    expect(found).toHaveLength(3);
    for (const row of found) expect(JSON.stringify(row).length).toBeLessThan(2500);
  });
});

describe('a flood of refused requests', () => {
  const flood = async (count: number, send: (n: number) => Promise<unknown>): Promise<void> => {
    for (let n = 0; n < count; n++) await send(n);
  };
  const audit = () => at.store.tables.audit.filter(({ code }) => code !== null);

  test.each<[string, (n: number) => Promise<unknown>]>([
    ['by the rules of a body', () => tenant.ask('createBudget', 'POST', '/v1/admin/budgets', { scope: 5 })],
    [
      'by a decision',
      () =>
        tenant.ask('fundBudget', 'POST', '/v1/admin/budgets/fund?scope=tenant:acme-corp/workspace:dev&unit=TOKENS', {
          operation: 'CREDIT',
          amount: { unit: 'TOKENS', amount: 1 },
        }),
    ],
  ])('%s leaves a bounded number of rows, the last of which counts the others', async (_what, send) => {
    await flood(ROWS_A_MINUTE, send);
    expect(audit()).toHaveLength(ROWS_A_MINUTE);
    await flood(30, send);
    await refusals();
    expect(audit()).toHaveLength(ROWS_A_MINUTE);
    at.clock.advance(MINUTE_MS);
    await refusals();
    await refusals();
    expect(audit()).toHaveLength(ROWS_A_MINUTE + 1);
    expect(audit().at(-1)).toMatchObject({
      tenantId: 'acme-corp',
      actorId: key.key_id,
      metadata: { attempts: 30, minute: '2026-04-09T00:00:00.000Z' },
    });
    // A new minute is a new beginning.
    await send(0);
    expect(audit()).toHaveLength(ROWS_A_MINUTE + 2);
  });

  test('hides neither what the same caller does well, nor what others are refused', async () => {
    await flood(ROWS_A_MINUTE + 1, () => tenant.ask('createBudget', 'POST', '/v1/admin/budgets', {}));
    const scope = 'tenant:acme-corp/workspace:dev';
    expect((await tenant.ask('createBudget', 'POST', '/v1/admin/budgets', budget(scope))).status).toBe(201);
    expect(await rows('operation=createBudget')).toMatchObject([{ status: 201, key_id: key.key_id }]);
    await operator.ask('createTenant', 'POST', TENANTS, {});
    expect(await rows('tenant_id=__admin__')).toHaveLength(1);
  });

  test('whose count cannot be written is told of when it can', async () => {
    await flood(ROWS_A_MINUTE + 5, () => tenant.ask('createBudget', 'POST', '/v1/admin/budgets', {}));
    at.clock.advance(MINUTE_MS);
    at.store.beforeBatch = () => {
      throw new Error('the disk is full');
    };
    expect((await operator.ask('listAuditLogs', 'GET', LOGS)).status).toBe(500);
    at.store.beforeBatch = null;
    await refusals();
    expect(audit().at(-1)).toMatchObject({ metadata: { attempts: 5 } });
  });
});

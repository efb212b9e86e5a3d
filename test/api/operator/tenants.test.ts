import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { tenantBudgetId } from '../../../src/app/manage-tenants.ts';
import { makeTestApp, type TestApp } from '../../support/test-app.ts';

const TENANTS = '/v1/x-castellan/tenants';

let at: TestApp;

beforeEach(async () => {
  at = await makeTestApp({
    declared: ['tenant filed name', 'tenant filed entitlements.max_keys', 'tenant filed money_budget_usd', 'member filed/ann id'],
  });
});
afterEach(() => at.close());

describe('201', () => {
  test('a tenant is made with the entitlements of every new one', async () => {
    const { status, json } = await at.operator('POST', TENANTS, { id: 'acme' });
    expect(status).toBe(201);
    expect(json).toEqual({
      id: 'acme',
      name: 'acme',
      status: 'ACTIVE',
      require_budget: false,
      allow_unpriced: false,
      hide_amounts: false,
      currency: 'EUR',
      require_balance: false,
      entitlements: {
        token_billing: true,
        container_subscription: true,
        gpu_access: false,
        max_gpus: 0,
        max_containers: 10,
        host_choice: false,
        private_registries: true,
        max_keys: 1000,
      },
      key_count: 0,
      created_at: '2026-04-09T00:00:00Z',
    });
    expect((await at.operator('GET', `${TENANTS}/acme`)).json).toEqual(json);
    expect((await at.operator('GET', TENANTS)).json).toEqual({ tenants: [json] });
    expect(at.store.tables.events.map(({ type }) => type)).toEqual(['tenant.created']);
    expect(at.store.tables.audit).toMatchObject([{ operation: 'create-tenant', actorKind: 'operator', resourceId: 'acme', code: null }]);
  });

  test('given fields and single entitlements replace the usual ones', async () => {
    const { json } = await at.operator('POST', TENANTS, {
      id: 'a',
      name: 'A & Sons',
      require_budget: true,
      entitlements: { max_keys: 5, token_billing: false },
    });
    expect(json).toMatchObject({
      name: 'A & Sons',
      require_budget: true,
      entitlements: { max_keys: 5, token_billing: false, max_containers: 10 },
    });
  });
});

describe('200', () => {
  beforeEach(() => at.operator('POST', TENANTS, { id: 'acme' }));

  test('PATCH changes what it names and nothing else', async () => {
    const { json: before } = await at.operator('GET', `${TENANTS}/acme`);
    const changes = { require_budget: true, allow_unpriced: true, hide_amounts: true, name: 'New', status: 'SUSPENDED' };
    expect(await at.operator('PATCH', `${TENANTS}/acme`, changes)).toMatchObject({
      status: 200,
      json: { ...(before as object), ...changes },
    });
    expect((await at.operator('PATCH', `${TENANTS}/acme`, { status: 'ACTIVE' })).json).toMatchObject({ ...changes, status: 'ACTIVE' });
  });

  test('entitlements one by one', async () => {
    const { json } = await at.operator('PATCH', `${TENANTS}/acme/entitlements`, { token_billing: false, max_gpus: 4 });
    expect(json).toMatchObject({ token_billing: false, max_gpus: 4, max_keys: 1000 });
    expect((await at.operator('GET', `${TENANTS}/acme/entitlements`)).json).toEqual(json);
  });

  test('a money budget that was never set is no limit', async () => {
    expect((await at.operator('GET', `${TENANTS}/acme/money-budget`)).json).toEqual({
      money_budget_usd: null,
      spent_usd: null,
      reserved_usd: null,
      remaining_usd: null,
    });
  });

  test.each([
    ['50', 5_000_000_000n, '50'],
    ['"12.50"', 1_250_000_000n, '12.5'],
    ['0.00000001', 1n, '0.00000001'],
    ['1e-8', 1n, '0.00000001'],
    ['0', 0n, '0'],
    ['"92233720368.54775807"', 9_223_372_036_854_775_807n, '92233720368.54775807'],
  ])('a money budget of %s is exact', async (usd, microcents, shown) => {
    const { status, text } = await at.operator('PUT', `${TENANTS}/acme/money-budget`, `{"money_budget_usd":${usd}}`);
    expect([status, text]).toEqual([200, `{"money_budget_usd":${shown},"spent_usd":0,"reserved_usd":0,"remaining_usd":${shown}}`]);
    expect(at.store.tables.accounts.get(tenantBudgetId('acme'))?.allocated).toBe(microcents);
  });

  test('setting the money budget again changes the allocation only; null takes the limit away; the journal says it all', async () => {
    for (const usd of [50, 20, null, 5]) await at.operator('PUT', `${TENANTS}/acme/money-budget`, { money_budget_usd: usd });
    const moved = at.store.tables.entries.map(({ verb, dAllocated }) => [verb, dAllocated]);
    expect(moved).toEqual([
      ['allocate', 5_000_000_000n],
      ['allocate', -3_000_000_000n],
      ['allocate', -2_000_000_000n],
      ['allocate', 500_000_000n],
    ]);
    expect((await at.store.verify()).discrepancies).toEqual([]);
    expect(at.store.tables.audit.filter(({ operation }) => operation === 'set-money-budget')).toHaveLength(4);
  });
});

describe('400', () => {
  beforeEach(() => at.operator('POST', TENANTS, { id: 'acme' }));

  test.each([
    ['no id', {}, 'id is required'],
    [
      'an id in capitals',
      { id: 'Acme' },
      'id must have 1 to 64 lower-case letters, digits and hyphens, and start and end with a letter or digit',
    ],
    [
      'an id that would end a scope',
      { id: 'a/b' },
      'id must have 1 to 64 lower-case letters, digits and hyphens, and start and end with a letter or digit',
    ],
    [
      'an id of the system',
      { id: '_system' },
      'id must have 1 to 64 lower-case letters, digits and hyphens, and start and end with a letter or digit',
    ],
    ['a name of nothing but space', { id: 'b', name: ' ' }, 'name must have 1 to 256 characters, and no control characters'],
    ['a misspelt field', { id: 'b', require_budgets: true }, 'require_budgets is not a known field'],
    ['a switch in a string', { id: 'b', require_budget: 'true' }, 'require_budget must be true or false'],
    ['a misspelt entitlement', { id: 'b', entitlements: { max_key: 1 } }, 'entitlements.max_key is not a known field'],
    ['a negative count', { id: 'b', entitlements: { max_keys: -1 } }, 'entitlements.max_keys must be a whole number that is at least 0'],
    ['a fractional count', { id: 'b', entitlements: { max_gpus: 1.5 } }, 'entitlements.max_gpus must be a whole number that is at least 0'],
    ['a count past all bounds', { id: 'b', entitlements: { max_gpus: 1_000_001 } }, 'max_gpus must be a whole number from 0 to 1000000'],
  ])('POST with %s', async (_what, body, message) => {
    const { status, json } = await at.operator('POST', TENANTS, body);
    expect([status, (json as { error: string }).error, (json as { message: string }).message]).toEqual([400, 'INVALID_REQUEST', message]);
  });

  test.each([
    ['', '{}', 'the body must name at least one field to change'],
    ['', '{"status":"CLOSED"}', 'status must be ACTIVE or SUSPENDED'],
    ['/entitlements', '{}', 'the body must name at least one field to change'],
  ])('PATCH %s with %s', async (path, body, message) => {
    expect(await at.operator('PATCH', `${TENANTS}/acme${path}`, body)).toMatchObject({ status: 400, json: { message } });
  });

  test.each([
    ['{}', 'money_budget_usd is required'],
    ['{"money_budget_usd":-1}', 'money_budget_usd must be an amount in USD that is at least 0, such as 50 or "12.50"'],
    ['{"money_budget_usd":"many"}', 'money_budget_usd must be an amount in USD that is at least 0, such as 50 or "12.50"'],
    ['{"money_budget_usd":true}', 'money_budget_usd must be an amount in USD, as a number or a decimal string, or null'],
    ['{"money_budget_usd":0.000000001}', 'money_budget_usd must have at most 8 decimals'],
    ['{"money_budget_usd":"92233720368.54775808"}', 'money_budget_usd must be at most 92233720368.54775807'],
    ['{"money_budget_usd":99999999999999999999}', 'money_budget_usd must be at most 92233720368.54775807'],
    ['{"money_budget_usd":123456789.123456789012}', 'money_budget_usd must be written as a string where it has more than 15 digits'],
  ])('PUT money-budget with %s', async (body, message) => {
    expect(await at.operator('PUT', `${TENANTS}/acme/money-budget`, body)).toMatchObject({ status: 400, json: { message } });
    expect(at.store.tables.accounts.size).toBe(0);
  });

  test('a parameter that nobody knows', async () => {
    expect((await at.operator('GET', `${TENANTS}?limit=5`)).status).toBe(400);
  });
});

describe('404', () => {
  test.each([
    ['GET', ''],
    ['PATCH', ''],
    ['GET', '/entitlements'],
    ['PATCH', '/entitlements'],
    ['GET', '/money-budget'],
    ['PUT', '/money-budget'],
    ['GET', '/members'],
    ['POST', '/members'],
    ['DELETE', '/members/ann'],
    ['POST', '/admin-keys'],
    ['POST', '/management-keys'],
  ] as const)('%s /tenants/none%s', async (method, path) => {
    const bodies: Record<string, unknown> = {
      PATCH: path === '' ? { name: 'x' } : { max_keys: 1 },
      PUT: { money_budget_usd: 1 },
      POST: path === '/members' ? { id: 'a', email: 'a@example.com' } : { name: 'a', member_id: 'a' },
    };
    expect(await at.operator(method, `${TENANTS}/none${path}`, bodies[method])).toMatchObject({
      status: 404,
      json: { error: 'NOT_FOUND' },
    });
  });

  test.each(['..', '%2e%2e', 'a%2Fb', '%2F', 'acme%00'])('a tenant named %s', async (id) => {
    expect((await at.operator('GET', `${TENANTS}/${id}`)).status).toBe(404);
  });
});

describe('409', () => {
  test('an id that is taken', async () => {
    await at.operator('POST', TENANTS, { id: 'acme' });
    expect(await at.operator('POST', TENANTS, { id: 'acme' })).toMatchObject({ status: 409, json: { error: 'DUPLICATE_RESOURCE' } });
  });

  test('what the configuration file declares, naming the file; other fields may change', async () => {
    await at.addTenant('filed');
    const path = `${TENANTS}/filed`;
    const declined = { status: 409, json: { error: 'MANAGED_BY_FILE', message: expect.stringContaining('/etc/castellan.yaml') as string } };
    expect(await at.operator('PATCH', path, { name: 'x' })).toMatchObject(declined);
    expect(await at.operator('PATCH', path, { require_budget: true, name: 'x' })).toMatchObject(declined);
    expect(await at.operator('PATCH', `${path}/entitlements`, { max_keys: 1 })).toMatchObject(declined);
    expect(await at.operator('PUT', `${path}/money-budget`, { money_budget_usd: 1 })).toMatchObject(declined);
    expect(await at.operator('DELETE', `${path}/members/ann`)).toMatchObject(declined);
    expect((await at.operator('GET', path)).json).toMatchObject({ name: 'filed', require_budget: false });
    expect((await at.operator('PATCH', path, { require_budget: true })).status).toBe(200);
    expect((await at.operator('PATCH', `${path}/entitlements`, { max_gpus: 1 })).status).toBe(200);
    expect((await at.operator('DELETE', `${path}/members/bob`)).status).toBe(204);
  });
});
